"""The folder of a run: its number, and writing it whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from kis_estimator.errors import KisError
from kis_estimator.evidence import LOG, Signer, layout, link_pack, locked_log
from kis_estimator.service.estimate import Estimate


def next_number(folder: Path, day: date) -> str:
    """Return the next free number KIS-YYYYMMDD-NNNN of a day in a folder."""
    prefix = f"KIS-{day:%Y%m%d}-"
    taken = [
        int(path.name.removeprefix(prefix))
        for path in folder.glob(f"{prefix}*")
        if path.name.removeprefix(prefix).isdecimal()
    ]
    return f"{prefix}{max(taken, default=0) + 1:04d}"


def make_and_write(
    make: Callable[[str], Estimate],
    number: str | date,
    folder: Path,
    signer: Signer | None = None,
) -> tuple[Estimate, Path]:
    """Make a run under a number, or under the next free number of a day, and write its pack.

    The number stands in the documents: where another run took the next one meanwhile, `make` is
    called again with the one after. Nothing is reserved that a killed run could leave behind.
    Raises as `make` and `write` do.
    """
    if isinstance(number, str):
        run = make(number)
        return run, write(run, folder, signer)
    day, number = number, next_number(folder, number)
    while True:
        run = make(number)
        try:
            return run, write(run, folder, signer)
        except KisError as error:
            tried, number = number, next_number(folder, day)
            if number == tried or any(notice.code != "NUMBER_TAKEN" for notice in error.notices):
                raise


def write(run: Estimate, folder: Path, signer: Signer | None = None) -> Path:
    """Write the pack of a run as `folder/<number>`, whole or not at all.

    With a signing key its record is linked to the chain of the folder: the log gets the record once
    the pack stands. Raises NUMBER_TAKEN, FOLDER_UNWRITABLE or CHAIN_LOG_BROKEN.
    """
    if signer is None:
        return write_files(run.files, run.number, folder)
    with locked_log(folder / LOG) as log:
        files, record = link_pack(run.files, log.last, signer)
        target = write_files(files, run.number, folder)
        log.append(record, files[layout.CHAIN])
    return target


def write_files(files: Mapping[str, bytes], number: str, folder: Path) -> Path:
    """Write files as `folder/<number>`, whole or not at all.

    Raises NUMBER_TAKEN or FOLDER_UNWRITABLE.
    """
    target = folder / number
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".kis-", dir=folder))
    except OSError as error:
        raise KisError.of("FOLDER_UNWRITABLE", folder=str(folder), reason=error.strerror) from error
    try:
        for name, content in files.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        draft.chmod(0o755)
        draft.rename(target)
    except OSError as error:
        code = "NUMBER_TAKEN" if target.exists() else "FOLDER_UNWRITABLE"
        raise KisError.of(code, number=number, folder=str(folder), reason=error.strerror) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target
