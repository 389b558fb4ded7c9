"""The catalogue and the rule file are validated as a whole."""

import re
from pathlib import Path

import pytest
from tests.engine.panels import catalog, catalog_files, rule_bytes, rules

from kis_estimator.engine.catalog import parse_catalog
from kis_estimator.engine.rules import parse_rules
from kis_estimator.errors import KisError


def test_sample_catalogue() -> None:
    book = catalog()
    assert (len(book.breakers), len(book.enclosures), len(book.accessories)) == (336, 115, 27)
    assert book.sample
    assert book.brands == ("LS", "SANGDO")
    assert {item.brand for item in book.rated("MCCB", 2, 20)} == {"LS", "SANGDO"}
    assert [item.rated_current_a for item in book.of_model("sbe-103")] == [60, 75, 100]


@pytest.mark.parametrize(
    ("file", "before", "after", "field"),
    [
        ("breakers.csv", "EBN-52-20A,LS,ELB", "EBN-52-20A,LS,RCBO", "category"),
        ("breakers.csv", "EBN-52-20A,LS", "EBN-52-30A,LS", "sku"),
        ("breakers.csv", ",50,2,20,14,", ",50,2,x,14,", "rated_current_a"),
        ("breakers.csv", ",50,2,20,14,", ",50,2,60,14,", "rated_current_a"),
        ("breakers.csv", ",50,2,20,14,", ",50,2,NaN,14,", "rated_current_a"),
        ("enclosures.csv", "IP30", "IP3", "ip_rating"),
        ("enclosures.csv", "HB 40 50 15,HB,steel,1.0", "HB 40 50 15,HB,steel,-1", "thickness_mm"),
        ("accessories.csv", "sku,category", "sku,kind", "header"),
        ("accessories.csv", "EA,18000", "EA,", "unit_price_krw"),
        ("accessories.csv", "EA,18000", "EA,1e9999999", "unit_price_krw"),
        ("accessories.csv", "MC-9,magnet_contactor", "MC-9,magnet", "category"),
        ("catalog.toml", "\nsample = true", '\nsample = "false"', "sample"),
        ("catalog.toml", 'name = "', 'title = "', "name"),
        ("catalog.toml", "version =", "version", "file"),
    ],
)
def test_a_wrong_cell_is_named_with_file_row_and_field(
    file: str, before: str, after: str, field: str
) -> None:
    files = catalog_files()
    text = files[file].decode()
    assert before in text
    files[file] = text.replace(before, after, 1).encode()
    with pytest.raises(KisError) as caught:
        parse_catalog(files)
    found = [(n.params["file"], n.params["field"]) for n in caught.value.notices]
    assert (file, field) in found


def test_problems_of_all_files_come_together() -> None:
    files = catalog_files()
    files["breakers.csv"] = files["breakers.csv"].replace(b",MCCB,", b",ACB,", 3)
    files["enclosures.csv"] = files["enclosures.csv"].replace(b",steel,", b",wood,", 3)
    with pytest.raises(KisError) as caught:
        parse_catalog(files)
    assert {n.params["file"] for n in caught.value.notices} == {"breakers.csv", "enclosures.csv"}


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ("corridor_mm = {", "corridor = {", "layout.corridor"),
        ('unit = "A", source = "§3 loads', 'unit = "", source = "§3 loads', "phase.load_step_a"),
        ("[[60, 130], [100, 170]", "[[100, 130], [60, 170]", "enclosure.top_mm"),
        ("[pricing]", "[prices]", "pricing"),
        (
            "side_margin_mm = { value = 40",
            "side_margin_mm = { value = 40.5",
            "layout.side_margin_mm",
        ),
        ("version =", "version", "TOML"),
        ('mounting = { value = "surface"', 'mounting = { value = "surfce"', "enclosure.mounting"),
        ("corridor_mm = { value = 80", "corridor_mm = 80 # {", "layout.corridor_mm"),
        ("poles_2 = [[30, 40]", "poles_2 = [[30]", "layout.pitch_mm"),
        ('[codes.OVERLAP]\nseverity = "violation"', '[codes.OVERLAP]\nseverity = "bad"', "codes"),
        ("[codes.OVERLAP]\nseverity", "[codes.OVERLAP]\nlevel = 1\nseverity", "codes"),
    ],
)
def test_a_wrong_rule_file_says_where(before: str, after: str, where: str) -> None:
    text = rule_bytes().decode()
    assert before in text
    with pytest.raises(KisError) as caught:
        parse_rules(text.replace(before, after, 1).encode())
    assert str(caught.value.notices[0].params["where"]).startswith(where)


def test_every_code_is_used_and_has_both_languages(root: Path) -> None:
    source = "".join(path.read_text() for path in (root / "src/kis_estimator/engine").glob("*.py"))
    used = set(re.findall(r'"([A-Z][A-Z_]{3,})"', source))
    table = rules().codes
    assert [code for code in table if code not in used] == []
    for code, entry in table.items():
        names = [set(re.findall(r"\{(\w+)", text)) for text in (entry.ko, entry.en)]
        assert names[0] == names[1], code


def test_a_step_table_without_the_value_is_an_error() -> None:
    with pytest.raises(KisError, match="RULE_RANGE"):
        rules().bom.busbar_factor.at(801)
