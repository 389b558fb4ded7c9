"""LibreOffice as a second opinion: it opens workbooks, calculates every formula and saves them."""

import io
import re
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

_RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode"
 oor:op="fuse"><value>0</value></prop></item>
</oor:items>
"""


def recalculate(files: Mapping[str, bytes], folder: Path) -> dict[str, bytes]:
    """Return the files as LibreOffice saves them after calculating every formula."""
    profile = folder / "profile" / "user"
    profile.mkdir(parents=True)
    (profile / "registrymodifications.xcu").write_text(_RECALCULATE, encoding="utf-8")
    for name, data in files.items():
        (folder / f"{name}.xlsx").write_bytes(data)
    subprocess.run(
        ["soffice", f"-env:UserInstallation={profile.parent.as_uri()}", "--headless",
         "--convert-to", "xlsx", "--outdir", str(folder / "out"),
         *(str(folder / f"{name}.xlsx") for name in files)],
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    return {name: (folder / "out" / f"{name}.xlsx").read_bytes() for name in files}


def edited(data: bytes, edit: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return a workbook with its parts edited; a part that becomes None is left out."""
    parts = {name: edit(name, part) for name, part in parts_of(data).items()}
    return packed({name: part for name, part in parts.items() if part is not None})


def packed(parts: Mapping[str, bytes]) -> bytes:
    """Return the parts as a file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, part in parts.items():
            target.writestr(name, part)
    return out.getvalue()


def parts_of(data: bytes) -> dict[str, bytes]:
    """Return the parts of a workbook."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        return {name: source.read(name) for name in source.namelist()}


def forget_stored_values(data: bytes) -> bytes:
    """Replace the stored value of every formula, so that only a recalculation is right."""

    def edit(name: str, part: bytes) -> bytes:
        if name.startswith("xl/worksheets/"):
            part = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1<v>1</v>", part)
        return part

    return edited(data, edit)
