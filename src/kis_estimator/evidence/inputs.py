"""Everything a run was given, as files of the pack, and back again for a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import get_args

from kis_estimator.engine.catalog import FILES
from kis_estimator.errors import KisError, Locale
from kis_estimator.evidence import layout
from kis_estimator.evidence.canonical import Json, pretty, read_object
from kis_estimator.evidence.pack import Pack

_FIELDS = {
    "number": (str,),
    "revision": (int,),
    "date": (str,),
    "locale": (str, type(None)),
    "readingLocale": (str,),
    "customer": (str, type(None)),
    "project": (str, type(None)),
    "brand": (str, type(None)),
    "acceptProposedMain": (bool,),
    "production": (bool,),
    "upload": (str,),
    "id": (str, type(None)),
    "createdAt": (str, type(None)),
}
_LOCALES: Mapping[str, Locale] = {locale: locale for locale in get_args(Locale)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the caller set beside the schedule; `reading_locale` is the language it was read in.

    In `production` a placeholder of the supplier or a sample price fails the cover. A service names
    its own `estimate_id` (a UUID) and `created_at` (UTC, ISO 8601 with Z); without them the id
    follows from number and revision, and the estimate is as old as its date.
    """

    number: str
    revision: int
    date: date
    reading_locale: Locale
    locale: Locale | None = None
    customer: str | None = None
    project: str | None = None
    brand: str | None = None
    accept_proposed_main: bool = False
    production: bool = False
    estimate_id: str | None = None
    created_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run was given: the customer's file under its own name, options, tables, company.

    `form` is the company's own form, which is filled beside the program's workbook.
    """

    upload_name: str
    upload: bytes
    options: RunOptions
    catalog: Mapping[str, bytes]
    rules: bytes
    company: bytes
    seal: bytes | None = None
    form: bytes | None = None


def input_files(inputs: Inputs, request: Json) -> dict[str, bytes]:
    """Return the files below `inputs/`; `request` is the request as the engine took it."""
    options = inputs.options
    written = {
        "number": options.number,
        "revision": options.revision,
        "date": options.date.isoformat(),
        "locale": options.locale,
        "readingLocale": options.reading_locale,
        "customer": options.customer,
        "project": options.project,
        "brand": options.brand,
        "acceptProposedMain": options.accept_proposed_main,
        "production": options.production,
        "upload": inputs.upload_name,
        "id": options.estimate_id,
        "createdAt": options.created_at,
    }
    files = {
        layout.upload_path(inputs.upload_name): inputs.upload,
        layout.REQUEST: pretty(request),
        layout.OPTIONS: pretty(written),
        **{layout.CATALOG + name: inputs.catalog[name] for name in FILES},
        layout.RULES: inputs.rules,
        layout.COMPANY: inputs.company,
    }
    optional = {layout.SEAL: inputs.seal, layout.FORM: inputs.form}
    return files | {name: data for name, data in optional.items() if data is not None}


def read_inputs(pack: Pack) -> Inputs:
    """Return what the run of a pack was given. Raises PACK_WITHOUT or PACK_OPTIONS."""
    uploads = [name for name in pack.digests if name.startswith(layout.UPLOAD)]
    wanted = [
        layout.OPTIONS, layout.RULES, layout.COMPANY, *(layout.CATALOG + name for name in FILES)
    ]  # fmt: skip
    missing = [name for name in wanted if name not in pack.digests]
    if len(uploads) != 1:
        missing.append(layout.UPLOAD)
    if missing:
        raise KisError.of("PACK_WITHOUT", parts=sorted(missing))
    options, upload_name = _options(pack.read(layout.OPTIONS))
    return Inputs(
        upload_name=upload_name,
        upload=pack.read(uploads[0]),
        options=options,
        catalog={name: pack.read(layout.CATALOG + name) for name in FILES},
        rules=pack.read(layout.RULES),
        company=pack.read(layout.COMPANY),
        seal=_optional(pack, layout.SEAL),
        form=_optional(pack, layout.FORM),
    )


def _optional(pack: Pack, name: str) -> bytes | None:
    return pack.read(name) if name in pack.digests else None


def _options(data: bytes) -> tuple[RunOptions, str]:
    try:
        table = read_object(data, _FIELDS)
        options = RunOptions(
            number=table["number"],
            revision=table["revision"],
            date=date.fromisoformat(table["date"]),
            locale=None if table["locale"] is None else _LOCALES[table["locale"]],
            reading_locale=_LOCALES[table["readingLocale"]],
            customer=table["customer"],
            project=table["project"],
            brand=table["brand"],
            accept_proposed_main=table["acceptProposedMain"],
            production=table["production"],
            estimate_id=table["id"],
            created_at=table["createdAt"],
        )
    except (KeyError, ValueError) as error:
        raise KisError.of("PACK_OPTIONS", file=layout.OPTIONS, reason=str(error)) from error
    return options, table["upload"]
