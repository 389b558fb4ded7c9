import re
import struct
import tomllib
import zlib

import pytest

from kis_estimator.documents.supplier import (
    SEAL_LIMIT,
    Supplier,
    parse_supplier,
    placeholder_bytes,
    seal_name,
)
from kis_estimator.errors import KisError

HANGUL = re.compile("[가-힣]")
LATIN_WORDS = re.compile(r"[A-Za-z]+ [a-z]+ [a-z]+")
FULL = {
    "registration_number": '"123-45-67890"',
    "name": '"주식회사 한강전기"',
    "representative": '"홍길동"',
    "address": '"경기도 화성시 동탄산단2길 45"',
    "phone": '"031-123-4567"',
    "business_type": '"제조"',
    "business_item": '"배전반, 분전반"',
    "delivery": '"발주 후 3주"',
    "payment": '"납품 후 30일"',
    "bank_account": '"한강은행 123-456"',
    "notes": '["부가세 별도", "운반비 별도"]',
}


def company(**changes: str | None) -> bytes:
    fields = {name: value for name, value in (FULL | changes).items() if value is not None}
    return "\n".join(f"{name} = {value}" for name, value in fields.items()).encode()


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def assembled(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def header(
    width: int = 64, height: int = 64, *kind: int, depth: int = 8, colour: int = 6
) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *(kind or (0, 0, 0)))


def pixels(data: bytes) -> tuple[bytes, bytes]:
    return b"IDAT", zlib.compress(data)


ROW = b"\0" + b"\xc8\x1e\x1e\x80" * 64
END = b"IEND", b""


def png(width: int = 64, height: int = 64, padding: int = 0) -> bytes:
    return assembled(
        header(width, height),
        *([(b"teXt", b"\0" * padding)] if padding else []),
        pixels((b"\0" + b"\xc8\x1e\x1e\x80" * width) * height),
        END,
    )


def problems(data: bytes, seal: bytes | None = None) -> dict[str, str]:
    with pytest.raises(KisError) as caught:
        parse_supplier(data, seal)
    assert {notice.code for notice in caught.value.notices} == {"COMPANY_INVALID"}
    assert not any(HANGUL.search(notice.message("en-US")) for notice in caught.value.notices)
    return {str(n.params["field"]): n.message("en-US") for n in caught.value.notices}


def test_a_full_file() -> None:
    extra = {"fax": '"031-123-4568"', "email": '"sales@example.com"', "seal": '"seal.png"'}
    data, seal = company(**extra), png()
    supplier = parse_supplier(data, seal)
    assert supplier == Supplier(
        registration_number="123-45-67890",
        name="주식회사 한강전기",
        representative="홍길동",
        address="경기도 화성시 동탄산단2길 45",
        phone="031-123-4567",
        business_type="제조",
        business_item="배전반, 분전반",
        delivery="발주 후 3주",
        payment="납품 후 30일",
        bank_account="한강은행 123-456",
        notes=("부가세 별도", "운반비 별도"),
        fax="031-123-4568",
        email="sales@example.com",
        seal=seal,
        placeholder=False,
    )
    assert seal_name(data) == "seal.png"


def test_optional_fields_may_be_left_out_or_empty() -> None:
    supplier = parse_supplier(company(fax='""', notes="[]"))
    assert (supplier.fax, supplier.email, supplier.notes, supplier.seal) == ("", "", (), None)


def test_the_file_of_the_program_is_a_placeholder_and_names_every_field() -> None:
    supplier = parse_supplier(placeholder_bytes())
    assert supplier.placeholder
    text = placeholder_bytes().decode()
    assert set(FULL) | {"placeholder"} == set(tomllib.loads(text))
    assert all(f"# {name} = " in text for name in ("fax", "email", "seal"))


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("value", [None, "7", '"   "', f'"{"가" * 301}"', '["", 1]'])
def test_a_wrong_field_is_named(name: str, value: str | None) -> None:
    assert list(problems(company(**{name: value}))) == [name]


@pytest.mark.parametrize("name", ["fax", "email"])
@pytest.mark.parametrize("value", ["7", '"   "', f'"{"1" * 301}"'])
def test_a_wrong_optional_field_is_named(name: str, value: str) -> None:
    assert list(problems(company(**{name: value}))) == [name]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"phnoe": '"031"'}, "phnoe"),
        ({"placeholder": '"yes"'}, "placeholder"),
        ({"seal": "7"}, "seal"),
        ({"seal": '" "'}, "seal"),
        ({"seal": '""'}, "seal"),
        ({"seal": '".."'}, "seal"),
        ({"seal": '"a/seal.png"'}, "seal"),
        ({"seal": "'a\\seal.png'"}, "seal"),
        ({"seal": f'"{"인" * 84}.png"'}, "seal"),
        ({"notes": '"one text"'}, "notes"),
        ({"notes": str(["x"] * 21)}, "notes"),
    ],
)
def test_what_else_is_wrong_is_named(changes: dict[str, str], field: str) -> None:
    assert list(problems(company(**changes))) == [field]


def test_all_problems_are_told_at_once() -> None:
    assert set(problems(company(name="1", phone=None, colour='"red"'), b"GIF89a")) == {
        "name", "phone", "colour", "seal",
    }  # fmt: skip


@pytest.mark.parametrize("data", [b"name = ", b"\xff\xfe", b'name = "a"\nname = "b"'])
def test_what_is_no_toml(data: bytes) -> None:
    assert list(problems(data)) == ["TOML"]
    assert seal_name(data) is None


def test_a_byte_order_mark_of_an_editor_is_no_error() -> None:
    assert parse_supplier(b"\xef\xbb\xbf" + company()).name == "주식회사 한강전기"


def test_texts_are_clean() -> None:
    assert parse_supplier(company(name='"  한강\\u202e\\t전기 "')).name == "한강 전기"


@pytest.mark.parametrize(
    ("seal", "reason"),
    [
        (b"", "a PNG file is needed"),
        (b"\xff\xd8\xff\xe0 JPEG", "a PNG file is needed"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short"),
        (png()[:-5], "damaged or cut short"),
        (png()[:60] + b"!" + png()[61:], "damaged or cut short"),
        (png(31, 64), "31×64 pixels"),
        (png(64, 2049), "64×2049 pixels"),
        (png(padding=SEAL_LIMIT), "larger than 512 KiB"),
    ],
)
def test_a_seal_that_cannot_be_printed(seal: bytes, reason: str) -> None:
    found = problems(company(), seal)
    assert list(found) == ["seal"]
    assert reason in found["seal"]


@pytest.mark.parametrize("size", [32, 2048])
def test_the_smallest_and_the_largest_seal(size: int) -> None:
    seal = png(size, size)
    assert parse_supplier(company(), seal).seal == seal


@pytest.mark.parametrize(
    "seal",
    [
        assembled((b"IHDR", b""), pixels(ROW * 64), END),
        assembled(header(), END),
        assembled(header(), (b"IDAT", b"rubbish"), END),
        assembled(header(), (b"IDAT", zlib.compress(ROW * 64)[:-5]), END),
        assembled(header(), pixels(ROW * 63), END),
        assembled(header(), pixels(ROW * 65), END),
        assembled(header(), pixels(b"\0" * 10_000_000), END),
        assembled(header(), pixels((b"\5" + ROW[1:]) * 64), END),
        assembled(header(depth=7), pixels(ROW * 64), END),
        assembled(header(colour=5), pixels(ROW * 64), END),
        assembled(header(64, 64, 0, 0, 2), pixels(ROW * 64), END),
        assembled(header(colour=3), pixels(b"\0" * 65 * 64), END),
        assembled(header(colour=3), (b"PLTE", b"1234"), pixels(b"\0" * 65 * 64), END),
        assembled(header(), pixels(ROW * 64), (b"tEXt", b""), pixels(b""), END),
        assembled(header(), header(), pixels(ROW * 64), END),
    ],
)
def test_a_seal_with_right_checksums_and_wrong_content(seal: bytes) -> None:
    assert "damaged or cut short" in problems(company(), seal)["seal"]


@pytest.mark.parametrize(
    "seal",
    [
        assembled(header(colour=3), (b"PLTE", b"123"), pixels(b"\0" * 65 * 64), END),
        assembled(header(33, 33, depth=1, colour=0), pixels(b"\0" * 6 * 33), END),
        assembled(header(64, 64, 0, 0, 1), pixels(b"\0" * (64 * 64 * 4 + 120)), END),
    ],
)
def test_every_kind_of_png_is_a_seal(seal: bytes) -> None:
    assert parse_supplier(company(), seal).seal == seal


def test_what_is_not_drawn_of_a_seal_is_dropped() -> None:
    seal = assembled(header(), (b"pHYs", b"junk"), pixels(ROW * 64), (b"zTXt", b"junk"), END)
    assert parse_supplier(company(), seal).seal == png()


@pytest.mark.parametrize("value", ['""', '"../seal.png"', f'"{"a" * 252}.png"'])
def test_a_seal_stands_beside_the_file(value: str) -> None:
    data = company(seal=value)
    assert seal_name(data) is None
    assert "beside company.toml" in problems(data)["seal"]


def test_reasons_are_told_in_the_readers_language() -> None:
    data = company(name="1", notes="1", placeholder="1", seal="1", colour="1")
    with pytest.raises(KisError) as caught:
        parse_supplier(data)
    told = [notice.message("ko-KR") for notice in caught.value.notices]
    assert len(told) == 5
    assert not any(map(LATIN_WORDS.search, told))
