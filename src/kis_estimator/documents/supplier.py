"""The supplier of a quotation, from `company.toml`: who quotes, and on which terms."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any

from kis_estimator.errors import KisError, Notice

PNG = b"\x89PNG\r\n\x1a\n"
SEAL_LIMIT = 512 * 1024
_TEXT_LIMIT = 300
_OPTIONAL = frozenset({"seal", "fax", "email"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """Texts as printed; `seal` is a PNG; `placeholder` marks the block of the program itself."""

    registration_number: str
    name: str
    representative: str
    address: str
    phone: str
    business_type: str
    business_item: str
    delivery: str
    payment: str
    bank_account: str
    notes: tuple[str, ...]
    fax: str = ""
    email: str = ""
    seal: bytes | None = None
    placeholder: bool = False


_FIELDS = frozenset(item.name for item in fields(Supplier))


def parse_supplier(data: bytes, seal: bytes | None = None) -> Supplier:
    """Read a `company.toml`; `seal` is the PNG that it names, read by the caller.

    Raises one KisError with a COMPANY_INVALID notice per missing, unknown or wrong field.
    """
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KisError.of("COMPANY_INVALID", field="TOML", reason=str(error)) from error
    problems = [_problem(name, "unknown field") for name in sorted(set(table) - _FIELDS)]
    values: dict[str, Any] = {"placeholder": table.get("placeholder") is True}
    for name in sorted(_FIELDS - {"placeholder", "seal"}):
        if name in table or name not in _OPTIONAL:
            try:
                values[name] = _value(name, table.get(name))
            except ValueError as error:
                problems.append(_problem(name, str(error)))
    if seal is not None and (not seal.startswith(PNG) or len(seal) > SEAL_LIMIT):
        problems.append(_problem("seal", f"a PNG of at most {SEAL_LIMIT // 1024} KiB is needed"))
    if problems:
        raise KisError(*problems)
    return Supplier(**values, seal=seal)


def _value(name: str, value: object) -> str | tuple[str, ...]:
    texts = value if name == "notes" else [value]
    if not isinstance(texts, list):
        raise ValueError("a list of texts is needed")  # noqa: TRY004 - reported like the rest
    for text in texts:
        if not isinstance(text, str) or not 0 < len(text.strip()) <= _TEXT_LIMIT:
            raise ValueError(f"a text of 1 to {_TEXT_LIMIT} characters is needed")
    return tuple(texts) if name == "notes" else str(value).strip()


def placeholder_bytes() -> bytes:
    """Return the `company.toml` that comes with the program: to be replaced before quoting."""
    return files("kis_estimator").joinpath("data/company.toml").read_bytes()


def _problem(name: str, reason: str) -> Notice:
    return Notice("COMPANY_INVALID", {"field": name, "reason": reason})
