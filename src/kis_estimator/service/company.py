"""The supplier whose name stands on every document: `company.toml` and the seal beside it."""

from __future__ import annotations

from pathlib import Path

from kis_estimator.documents.supplier import SEAL_LIMIT, placeholder_bytes, seal_name
from kis_estimator.errors import KisError, Notice

_COMPANY_LIMIT = 1024 * 1024


def company_of(home: Path) -> tuple[bytes, bytes | None]:
    """Return company file and seal of an installation, the placeholder where it has none.

    Raises SEAL_MISSING, FILE_UNREADABLE or FILE_TOO_LARGE.
    """
    file = home / "company.toml"
    if not file.is_file():
        return placeholder_bytes(), None
    data = _read(file, _COMPANY_LIMIT)
    name = seal_name(data)
    if name is None:
        return data, None
    seal = home / name
    if not seal.is_file() or seal.resolve().parent != home.resolve():
        raise KisError.of("SEAL_MISSING", seal=name)
    return data, _read(seal, SEAL_LIMIT)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise KisError.of(
            "FILE_UNREADABLE", what=path.name, path=str(path), reason=error.strerror
        ) from error
    if len(data) > limit:
        raise KisError(Notice("FILE_TOO_LARGE", {"limit": f"{limit / 2**20:g}"}, text=path.name))
    return data
