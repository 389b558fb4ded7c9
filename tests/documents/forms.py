"""A company's form as a panel shop would make it in Excel, with all that must survive."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.documents.test_supplier import png
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

FRONT, DETAIL = "견적서", "내역's 1"
FIRST = 10  # the row of the first panel, counted from 0
NAMES = {
    "KIS_Number": "$B$3", "KIS_Date": "$B$4", "KIS_DateValue": "$E$4", "KIS_Customer": "$B$5",
    "KIS_Project": "$B$6", "KIS_TotalWords": "$B$7", "KIS_Mark": "$A$8", "KIS_Exclusions": "$A$9",
    "KIS_Panel_Number": "$A$11", "KIS_Panel_Name": "$B$11", "KIS_Panel_Enclosure": "$C$11",
    "KIS_Panel_Quantity": "$D$11", "KIS_Panel_UnitPrice": "$E$11", "KIS_Panel_Amount": "$F$11",
}  # fmt: skip
LINE_NAMES = {
    "KIS_Line_Number": "$A$3", "KIS_Line_Name": "$B$3", "KIS_Line_Spec": "$C$3",
    "KIS_Line_Unit": "$D$3", "KIS_Line_Quantity": "$E$3", "KIS_Line_UnitPrice": "$F$3",
    "KIS_Line_Amount": "$G$3",
}  # fmt: skip
SUMS = (
    ("KIS_LinesSum", "=SUM($F$11:$F${last})"),
    ("KIS_Discount", ""),
    ("KIS_Rounding", ""),
    ("KIS_Supply", "=KIS_LinesSum+KIS_Discount+KIS_Rounding"),
    ("KIS_VAT", "=INT(KIS_Supply/10)"),
    ("KIS_Total", "=KIS_Supply+KIS_VAT"),
)


@dataclass(frozen=True)
class Form:
    """How many rows the tables have, and what differs: names (None takes one out), formulas."""

    panels: int = 6
    lines: int = 80
    names: Mapping[str, str | None] = field(default_factory=dict)
    sums: Mapping[str, str] = field(default_factory=dict)
    merged: str = ""
    extra_formula: str = '=IF(KIS_Total>=1000000,"예","아니오")'
    link: str = "https://example.com/"


def form(shape: Form | None = None) -> bytes:
    """Return the form as a file."""
    shape = shape or Form()
    buffer = io.BytesIO()
    book = Workbook(buffer, {"in_memory": True})
    book.set_properties({"created": datetime(2025, 1, 1)})  # noqa: DTZ001 - as XlsxWriter takes it
    front, detail = book.add_worksheet(FRONT), book.add_worksheet(DETAIL)
    names = {name: f"={FRONT}!{cell}" for name, cell in NAMES.items()}
    names |= _front(book, front, shape)
    quoted = "'" + DETAIL.replace("'", "''") + "'"
    names |= {name: f"={quoted}!{cell}" for name, cell in LINE_NAMES.items()}
    names |= _detail(book, detail, shape, quoted)
    names["우리회사"] = f"={FRONT}!$A$1"
    for name, target in {**names, **shape.names}.items():
        if target is not None:
            book.define_name(name, target)
    book.close()
    return buffer.getvalue()


def _front(book: Workbook, sheet: Worksheet, shape: Form) -> dict[str, str]:
    style = book.add_format({"font_name": "맑은 고딕", "num_format": "#,##0", "border": 1})
    sheet.merge_range("A1:G1", "견 적 서", book.add_format({"bold": True, "font_size": 20}))
    for row, label in enumerate(("번호", "일자", "수신", "공사명", "금액"), start=2):
        sheet.write_string(row, 0, label, style)
        sheet.merge_range(row, 1, row, 2, "", style)
    sheet.insert_image("F3", "logo.png", {"image_data": io.BytesIO(png())})
    sheet.insert_textbox("E5", "㈜한빛전기\n대표 김한빛 (인)", {"width": 180, "height": 50})
    last = FIRST + shape.panels
    for row in range(FIRST, last):
        sheet.write_string(row, 1, "지난번 견적의 반", style)
        sheet.write_blank(row, 3, None, style)
        sheet.write_formula(row, 5, f'=IF(D{row + 1}="","",D{row + 1}*E{row + 1})', style, "")
    names = {"KIS_PanelLines": f"={FRONT}!$A$11:$G${last}"}
    for row, (name, formula) in enumerate(SUMS, start=last):
        wanted = shape.sums.get(name, formula.replace("{last}", str(last)))
        if wanted:
            sheet.write_formula(row, 5, wanted, style, 0)
        else:
            sheet.write_blank(row, 5, None, style)
        names[name] = f"={FRONT}!$F${row + 1}"
    sheet.write_formula(last + 7, 1, shape.extra_formula, style, "")
    sheet.write_url(last + 8, 1, shape.link)
    sheet.data_validation(
        last + 9, 1, last + 9, 1, {"validate": "list", "source": ["현금", "어음"]}
    )
    condition = {"type": "cell", "criteria": ">", "value": 1000, "format": book.add_format()}
    sheet.conditional_format(FIRST, 5, last, 5, condition)
    if shape.merged:
        sheet.merge_range(shape.merged, "", style)
    sheet.print_area(0, 0, last + 9, 6)
    sheet.repeat_rows(9)
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_footer("&C&P")
    sheet.set_h_pagebreaks([40])
    return names


def _detail(book: Workbook, sheet: Worksheet, shape: Form, quoted: str) -> dict[str, str]:
    style = book.add_format({"num_format": "#,##0.00"})
    sheet.set_column(0, 0, 8, style)
    last = 2 + shape.lines
    for row in range(2, last):
        amount = f"ROUND(ROUND(E{row + 1}*100,0)*F{row + 1}/100,0)"
        sheet.write_formula(row, 6, f'=IF(E{row + 1}="","",{amount})', style, "")
    sheet.write_formula(last, 6, f"=SUM(G3:G{last})", style, 0)
    chart = book.add_chart({"type": "column"})
    chart.add_series({"values": [DETAIL, 2, 6, last - 1, 6]})
    sheet.insert_chart("I3", chart)
    sheet.set_landscape()
    return {"KIS_Lines": f"={quoted}!$A$3:$G${last}"}
