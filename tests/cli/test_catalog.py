"""`kis catalog` on an installation, and `kis estimate --catalog` with what it exports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from tests.runs import engine
from tests.service.site import Site, site_in
from typer.testing import CliRunner, Result

from kis_estimator.cli.catalog import app as catalog_app
from kis_estimator.cli.estimate import estimate
from kis_estimator.service.pricebook_files import COLUMNS

HEADER = ",".join(COLUMNS["accessory"])
MC9 = "MC-9,magnet_contactor,전자접촉기 MC-9~22,Magnetic contactor 9-22 A,46,75,panel,EA,"
Kis = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a server that runs, so that no command has to start it."""
    home = tmp_path_factory.mktemp("cli") / "home"
    with site_in(home):
        yield home


@pytest.fixture
def kis(server: Path, monkeypatch: pytest.MonkeyPatch) -> Kis:
    """Run a command in an organisation that no other test knows."""
    for name in list(os.environ):
        if name.startswith(("SUPABASE_", "KIS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KIS_HOME", str(server))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    (server / "organisation").unlink(missing_ok=True)

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(catalog_app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.csv"
    path.write_text(f"{HEADER}\n{MC9}19500\n", encoding="cp949")
    return path


def listed(kis: Kis, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kis("list", "--json", *arguments).stdout)
    return found


def test_list(kis: Kis) -> None:
    shown = kis("list", "--q", "mc-9", "--kind", "accessory")
    assert shown.exit_code == 0
    assert "version 0" in shown.stdout
    assert "Sample prices" in shown.stdout
    assert [line.split()[1] for line in shown.stdout.splitlines() if "18,000" in line] == ["MC-9"]
    found = listed(kis)
    assert found["version"]["sha256"] == engine().catalog.sha
    known = engine().catalog
    every = len(known.breakers) + len(known.enclosures) + len(known.accessories)
    assert found["total"] == len(found["items"]) == every


def test_import_asks_and_then_makes_a_version(kis: Kis, prices: Path) -> None:
    preview = kis("import", prices, "--preview")
    assert preview.exit_code == 0
    assert "unitPriceKrw 18000 → 19500 (+8.3 %)" in preview.stdout
    assert "0 added · 0 removed · 1 changed" in preview.stdout
    unasked = kis("import", prices)
    assert unasked.exit_code == 2
    assert "CATALOG_CONFIRM" in unasked.stderr
    assert listed(kis)["version"]["number"] == 0
    done = kis("import", prices, "--yes", "--no-sample", "--name", "우리 가격표")
    assert done.exit_code == 0
    assert "Version 1" in done.stdout
    found = listed(kis, "--q", "MC-9", "--kind", "accessory")
    assert [item["unitPrice"] for item in found["items"]] == [19500]
    assert (found["version"]["name"], found["version"]["sample"]) == ("우리 가격표", False)
    again = kis("import", prices, "--yes")
    assert again.exit_code == 0
    assert "nothing was changed" in again.stdout


def test_what_was_imported_is_logged_as_the_administrator(
    kis: Kis, prices: Path, server: Path
) -> None:
    assert kis("import", prices, "--yes").exit_code == 0
    org = (server / "organisation").read_text(encoding="ascii")
    with site_in(server) as site:
        assert actions(site, org) == ["catalog.imported"]


def actions(site: Site, org: str) -> list[str]:
    query = "select action from shared.audit_logs where org_id = %s order by seq"
    return [row["action"] for row in site.rows(query, org)]


@pytest.mark.parametrize("name", ["book.xlsx", "book"])
def test_an_export_comes_back_unchanged(kis: Kis, prices: Path, tmp_path: Path, name: str) -> None:
    kis("import", prices, "--yes")
    target = tmp_path / name
    saved = kis("export", target)
    assert saved.exit_code == 0
    for file in [target] if target.is_file() else sorted(target.glob("*.csv")):
        again = kis("import", file, "--mode", "replace")
        assert again.exit_code == 0
        assert "nothing was changed" in again.stdout
    twice = kis("export", target)
    assert twice.exit_code == 2
    assert "FILE_EXISTS" in twice.stderr


def test_problems_are_told_with_row_and_remedy(kis: Kis, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(f"{HEADER}\n{MC9}x\n\n{MC9}-1\n", encoding="utf-8")
    result = kis("import", wrong, "--yes")
    assert result.exit_code == 2
    assert "[wrong.csv] row 2" in result.stderr
    assert "[wrong.csv] row 4" in result.stderr
    assert "nothing has been changed" in result.stderr
    assert kis("import", tmp_path / "none.csv").exit_code == 2
    assert kis("import", wrong, "--name", "a\x1b[2J").exit_code == 2
    assert listed(kis)["version"]["number"] == 0


def test_a_price_book_of_supabase_is_not_changed_here(
    kis: Kis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "k" * 40)
    result = kis("list")
    assert result.exit_code == 2
    assert "CATALOG_ELSEWHERE" in result.stderr


def test_no_database_ends_with_3(kis: Kis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_DB_URL", "postgresql://kis_api@127.0.0.1:9/kis")
    monkeypatch.setenv("DB_POOL_TIMEOUT", "0.2")
    assert kis("list").exit_code == 3


# ---------------------------------------------------------------- kis estimate --catalog


def run_estimate(tmp_path: Path, examples: Path, *arguments: str | Path) -> Result:
    import typer  # noqa: PLC0415 - for this helper alone

    app = typer.Typer(add_completion=False)
    app.command()(estimate)
    source = examples / "06_request.json"
    given = [source, "-o", tmp_path / "out", "--date", "2026-01-31", "--json", *arguments]
    return CliRunner().invoke(app, [str(argument) for argument in given])


@pytest.mark.parametrize("name", ["book.xlsx", "book"])
def test_an_estimate_with_an_exported_price_book(
    kis: Kis, tmp_path: Path, examples: Path, name: str
) -> None:
    kis("export", tmp_path / name)
    made = run_estimate(tmp_path, examples, "--catalog", tmp_path / name)
    assert made.exit_code == 0, made.stderr
    response = json.loads(made.stdout)
    if name == "book":
        assert response["catalogSha"] == engine().catalog.sha
    other = run_estimate(tmp_path / "plain", examples)
    assert response["totals"] == json.loads(other.stdout)["totals"]


def test_an_estimate_with_a_wrong_price_book(kis: Kis, tmp_path: Path, examples: Path) -> None:
    path = tmp_path / "book.xlsx"
    kis("export", path)
    book = load_workbook(path)
    book["accessories"]["I3"] = "free"
    book.save(path)
    result = run_estimate(tmp_path, examples, "--catalog", path)
    assert result.exit_code == 2
    assert "[accessories] row 3" in result.stderr
    del book["enclosures"]
    book.save(path)
    assert "enclosures.csv" in run_estimate(tmp_path, examples, "--catalog", path).stderr
    (tmp_path / "empty").mkdir()
    missing = run_estimate(tmp_path, examples, "--catalog", tmp_path / "empty")
    assert (missing.exit_code, "FILE_UNREADABLE" in missing.stderr) == (2, True)
