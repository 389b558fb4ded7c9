"""What `skeleton.dxf` has to be, as a DXF library writes it; and files read with that library."""

from __future__ import annotations

import io
import re

from ezdxf import units
from ezdxf._options import options
from ezdxf.document import Drawing
from ezdxf.filemanagement import new, read

from kis_estimator.documents.drawing.dxf import (
    FIRST_HANDLE,
    FONT,
    HEIGHT_MARK,
    LAYERS,
    MIDDLE_X_MARK,
    MIDDLE_Y_MARK,
    MODEL_SPACE,
    SEED_MARK,
    TEXT_STYLE,
    WIDTH_MARK,
    line_type,
)
from kis_estimator.documents.drawing.scene import STYLES

# Numbers that occur nowhere else in the file, to be replaced by marks.
WIDTH, HEIGHT = 7919.0, 6577.0


def skeleton() -> str:
    """Return the file without entities, with marks for what depends on the drawing."""
    options.write_fixed_meta_data_for_testing = True
    doc = new("R2018", units=units.MM)
    _header(doc)
    _tables(doc)
    doc.set_modelspace_vport(HEIGHT, (WIDTH / 2, HEIGHT / 2))
    assert doc.modelspace().layout_key == MODEL_SPACE
    assert max(int(handle, 16) for handle in doc.entitydb) < FIRST_HANDLE
    stream = io.StringIO()
    doc.write(stream)
    text = stream.getvalue()
    seed = doc.header["$HANDSEED"]
    text = text.replace(f"$HANDSEED\n  5\n{seed}\n", f"$HANDSEED\n  5\n{SEED_MARK}\n")
    text = text.replace("$LASTSAVEDBY\n  1\nezdxf\n", "$LASTSAVEDBY\n  1\nKIS Estimator\n")
    for number, mark in (
        (WIDTH, WIDTH_MARK),
        (HEIGHT, HEIGHT_MARK),
        (WIDTH / 2, MIDDLE_X_MARK),
        (HEIGHT / 2, MIDDLE_Y_MARK),
    ):
        assert str(number) in text
        text = text.replace(str(number), mark)
    return _ordered(text)


def _ordered(text: str) -> str:
    """Sort the class records, which the library writes in the order of a set."""
    start, classes, rest = re.split(
        r"(?<=  2\nCLASSES\n)|(?=  0\nENDSEC\n  0\nSECTION\n  2\nTABLES)", text
    )
    records = re.findall(r"  0\nCLASS\n(?:(?!  0\n).*\n)*", classes)
    assert "".join(records) == classes
    return start + "".join(sorted(records)) + rest


def _header(doc: Drawing) -> None:
    for name, value in {
        "$MEASUREMENT": 1, "$LUNITS": 2, "$LUPREC": 2, "$LTSCALE": 1.0, "$LWDISPLAY": 1,
        "$TEXTSTYLE": TEXT_STYLE,
    }.items():  # fmt: skip
        doc.header[name] = value
    doc.encoding = "cp949"  # only $DWGCODEPAGE: R2018 is UTF-8
    doc.header["$EXTMIN"], doc.header["$EXTMAX"] = (0, 0, 0), (WIDTH, HEIGHT, 0)
    doc.modelspace().reset_extents((0, 0, 0), (WIDTH, HEIGHT, 0))
    doc.modelspace().reset_limits((0, 0), (WIDTH, HEIGHT))
    doc.header.custom_vars.append("Unit", "1 unit = 1 mm on the sheet; plot 1:1")


def _tables(doc: Drawing) -> None:
    doc.styles.add(TEXT_STYLE, font=FONT)
    for dash in sorted({style.dash for style in STYLES.values() if style.dash}):
        lengths = [float(part) for part in dash.split()]
        signed = [length * (-1) ** i for i, length in enumerate(lengths)]
        doc.linetypes.add(line_type(dash), [sum(lengths), *signed], description=dash)
    for layer, (color, weight) in LAYERS.items():
        doc.layers.add(layer.upper(), color=color, lineweight=weight)


def opened(content: bytes) -> Drawing:
    """Return a file as the library reads it."""
    return read(io.StringIO(content.decode("utf-8")))


def audited(content: bytes) -> Drawing:
    """Return a file in which the library finds nothing wrong."""
    doc = opened(content)
    auditor = doc.audit()
    assert [error.message for error in (*auditor.errors, *auditor.fixes)] == []
    return doc
