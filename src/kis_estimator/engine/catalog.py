"""The catalogue: CSV tables validated as a whole, then looked up through indexes."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from kis_estimator.engine.model import (
    AccessoryItem,
    BreakerItem,
    EnclosureItem,
)
from kis_estimator.errors import KisError, Notice

Item = TypeVar("Item", BreakerItem, EnclosureItem, AccessoryItem)

FILES = ("catalog.toml", "breakers.csv", "enclosures.csv", "accessories.csv")
_IP = re.compile(r"IP[0-6][0-9]\Z")
_MAY_BE_ZERO = frozenset({"width_mm", "height_mm", "unit_price_krw", "power_loss_w_per_pole"})
_MAX_ROWS = 100_000
_LARGEST = 10**9
_MAX_PROBLEMS = 50


@dataclass(frozen=True)
class Catalog:
    """One price book. `sha` is the SHA-256 over the names and bytes of its files."""

    name: str
    version: str
    sample: bool
    sha: str
    breakers: tuple[BreakerItem, ...]
    enclosures: tuple[EnclosureItem, ...]
    accessories: Mapping[str, AccessoryItem]

    @cached_property
    def _by_rating(self) -> Mapping[tuple[str, int, int], Sequence[BreakerItem]]:
        return _index(self.breakers, lambda b: (b.category, b.poles, b.rated_current_a))

    @cached_property
    def _by_model(self) -> Mapping[str, Sequence[BreakerItem]]:
        return _index(self.breakers, lambda b: b.model.upper())

    @cached_property
    def brands(self) -> tuple[str, ...]:
        """Return the brands in alphabetical order."""
        return tuple(sorted({item.brand for item in self.breakers}))

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Return every model name, sorted."""
        return tuple(sorted(self._by_model))

    def rated(self, category: str, poles: int, rated_current_a: int) -> Sequence[BreakerItem]:
        """Return the breakers of a kind, pole count and rating, of every brand and tier."""
        return self._by_rating.get((category, poles, rated_current_a), ())

    def ratings(self, category: str, poles: int, brand: str | None = None) -> tuple[int, ...]:
        """Return the ratings [A] of a kind and pole count, rising; of one brand or of all."""
        return tuple(
            sorted(
                {
                    item.rated_current_a
                    for (kind, count, _), items in self._by_rating.items()
                    if (kind, count) == (category, poles)
                    for item in items
                    if brand is None or item.brand == brand
                }
            )
        )

    def poles(self, category: str) -> tuple[int, ...]:
        """Return the pole counts that a kind is sold with, rising."""
        return tuple(sorted({poles for kind, poles, _ in self._by_rating if kind == category}))

    def of_model(self, model: str) -> Sequence[BreakerItem]:
        """Return the ratings of a model, any letter case; empty when it is unknown."""
        return self._by_model.get(model.upper(), ())

    def accessory(self, sku: str) -> AccessoryItem:
        """Return an accessory; UNKNOWN_ACCESSORY names the sku."""
        try:
            return self.accessories[sku]
        except KeyError:
            raise KisError.of(
                "UNKNOWN_ACCESSORY", sku=sku, known=sorted(self.accessories)
            ) from None


def parse_catalog(files: Mapping[str, bytes]) -> Catalog:
    """Read and validate a price book: `FILES` by name.

    Raises one KisError with a CATALOG_ROW notice (file, line, field, reason) for each problem of
    every file, up to 50, so that a price book is corrected in one go.
    """
    problems: list[Notice] = []
    breakers = _table(BreakerItem, "breakers.csv", files, problems)
    enclosures = _table(EnclosureItem, "enclosures.csv", files, problems)
    accessories = _table(AccessoryItem, "accessories.csv", files, problems)
    head = _head(files, problems)
    if problems:
        raise KisError(*problems[:_MAX_PROBLEMS])
    digest = hashlib.sha256()
    for name in FILES:
        digest.update(f"{name} {hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return Catalog(
        name=head["name"],
        version=head["version"],
        sample=head["sample"],
        sha=digest.hexdigest(),
        breakers=tuple(breakers),
        enclosures=tuple(enclosures),
        accessories={item.sku: item for item in accessories},
    )


def _head(files: Mapping[str, bytes], problems: list[Notice]) -> dict[str, Any]:
    """Return name, version and the sample mark; the mark has to be a real true or false."""
    try:
        head = tomllib.loads(files["catalog.toml"].decode("utf-8"))
    except (KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(_problem("catalog.toml", 1, "file", type(error).__name__))
        return {}
    for field, kind in (("name", str), ("version", str), ("sample", bool)):
        if not isinstance(head.get(field), kind):
            problems.append(_problem("catalog.toml", 1, field, f"a {kind.__name__} is needed"))
    return head


def _index(items: Iterable[Item], key: Callable[[Item], Any]) -> Mapping[Any, Sequence[Item]]:
    index: dict[Any, list[Item]] = {}
    for item in items:
        index.setdefault(key(item), []).append(item)
    return index


def _problem(file: str, row: int, column: str, reason: str) -> Notice:
    params = {"file": file, "row": row, "field": column, "reason": reason}
    return Notice("CATALOG_ROW", params, sheet=file, row=row)


def _table(
    kind: type[Item], name: str, files: Mapping[str, bytes], problems: list[Notice]
) -> list[Item]:
    try:
        text = files[name].decode("utf-8-sig")
    except (KeyError, UnicodeDecodeError) as error:
        problems.append(_problem(name, 1, "file", type(error).__name__))
        return []
    reader = csv.DictReader(io.StringIO(text), strict=True)
    hints = get_type_hints(kind)
    columns = [item.name for item in fields(kind)]
    if sorted(reader.fieldnames or ()) != sorted(columns):
        problems.append(_problem(name, 1, "header", f"columns must be {', '.join(columns)}"))
        return []
    items: list[Item] = []
    seen: set[str] = set()
    try:
        for number, row in enumerate(reader, start=2):
            item = _item(kind, hints, row, (name, number), problems)
            if item is not None:
                items.append(item)
            if row.get("sku") in seen:
                problems.append(_problem(name, number, "sku", "duplicate"))
            seen.add(str(row.get("sku")))
            if len(seen) > _MAX_ROWS:
                problems.append(_problem(name, number, "file", f"more than {_MAX_ROWS} rows"))
                break
    except csv.Error as error:
        problems.append(_problem(name, reader.line_num, "file", str(error)))
    return items


def _item(
    kind: type[Item],
    hints: Mapping[str, Any],
    row: Mapping[str, str],
    place: tuple[str, int],
    problems: list[Notice],
) -> Item | None:
    """Return the item of a row; None, and a problem for each field, where it is wrong."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        try:
            values[field.name] = _cell(
                hints[field.name], field.name, (row.get(field.name) or "").strip()
            )
        except ValueError as error:
            problems.append(_problem(*place, field.name, str(error)))
    if values.get("rated_current_a", 0) > values.get("frame_af", values.get("rated_current_a", 0)):
        problems.append(_problem(*place, "rated_current_a", "AT > AF"))
    return kind(**values) if len(values) == len(fields(kind)) else None


def _cell(kind: Any, key: str, text: str) -> Any:  # noqa: ANN401 - the field's own type
    """Return a cell as its field's type. Raises ValueError with the reason."""
    if kind in (int, Decimal):
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"{text!r} is not a number") from None
        if not number.is_finite() or not -_LARGEST <= number <= _LARGEST:
            raise ValueError(f"{text!r} is not a number up to {_LARGEST}")
        if kind is int and number != int(number):
            raise ValueError(f"{text!r} is not a whole number")
        if number < 0 or (number == 0 and key not in _MAY_BE_ZERO):
            raise ValueError(f"{text!r} is not positive")
        return kind(number)
    if get_origin(kind) is Literal and text not in get_args(kind):
        raise ValueError(f"{text!r} is not one of {', '.join(get_args(kind))}")
    if not text:
        raise ValueError("empty")
    if key == "ip_rating" and not _IP.match(text):
        raise ValueError(f"{text!r} is not an IP code")
    return text
