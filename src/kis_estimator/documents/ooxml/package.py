"""The parts of a workbook file: read with limits, written the same way every time."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn
from xml.parsers import expat

from kis_estimator.errors import KisError

Parts = dict[str, bytes]
_MAX_ENTRIES = 2000
_MAX_ENTRY_BYTES = 64 * 1024 * 1024
_MAX_TOTAL_BYTES = 128 * 1024 * 1024
_MAX_RATIO, _RATIO_FROM_BYTES = 200, 4 * 1024 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # an old .xls, or a workbook under a password
_ENCRYPTED_ENTRY = 1
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Element:
    """An element by its local name, its attributes as they stand, and its text."""

    name: str
    attributes: Mapping[str, str]
    text: str

    def get(self, name: str) -> str:
        """Return an attribute by its local name, "" where it is missing."""
        for key, value in self.attributes.items():
            if local(key) == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Relationship:
    """What a part refers to: kind is the last word of its type, target a part or an address."""

    id: str
    kind: str
    target: str
    external: bool


@dataclass(frozen=True, slots=True)
class SheetPart:
    """A worksheet by its name and part; `index` is its place among all tabs."""

    name: str
    part: str
    index: int


def read_parts(data: bytes) -> Parts:
    """Return the parts of a workbook, in their order. Refuses what is no plain, modest zip file."""
    if data.startswith(_OLE):
        raise KisError.of("WORKBOOK_ENCRYPTED" if b"E\0n\0c\0r\0y" in data else "NOT_A_WORKBOOK")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive.infolist())
            return {entry.filename: _read(archive, entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise KisError.of("NOT_A_WORKBOOK") from error


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as part:  # reads what is declared, so that a false size cannot grow
        content = part.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise KisError.of("NOT_A_WORKBOOK")
    return content


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename.lower() for entry in entries]
    if len(entries) > _MAX_ENTRIES or sum(e.file_size for e in entries) > _MAX_TOTAL_BYTES:
        raise KisError.of("ZIP_BOMB")
    if len(set(names)) < len(names) or "[content_types].xml" not in names:
        raise KisError.of("NOT_A_WORKBOOK")
    for entry in entries:
        ratio = entry.file_size / max(entry.compress_size, 1)
        big = entry.file_size > _RATIO_FROM_BYTES and ratio > _MAX_RATIO
        if big or entry.file_size > _MAX_ENTRY_BYTES:
            raise KisError.of("ZIP_BOMB")
        path = entry.filename
        if path.startswith("/") or "\\" in path or ".." in path.split("/"):
            raise KisError.of("NOT_A_WORKBOOK")
        if entry.flag_bits & _ENCRYPTED_ENTRY:
            raise KisError.of("WORKBOOK_ENCRYPTED")


def write_parts(parts: Mapping[str, bytes]) -> bytes:
    """Return the file; the same parts give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 0
            archive.writestr(entry, content)
    return buffer.getvalue()


def xml_parser(xml: bytes) -> expat.XMLParserType:
    """Return a parser for a part in UTF-8; it refuses every document type and so every entity."""

    def refuse(*_: object) -> NoReturn:
        raise KisError.of("WORKBOOK_BROKEN")

    def declare(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            refuse()

    if xml.startswith(_UTF16):
        refuse()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.XmlDeclHandler = declare
    return parser


def parse(parser: expat.XMLParserType, xml: bytes) -> None:
    """Run a parser over a whole part."""
    try:
        parser.Parse(xml, True)  # noqa: FBT003 - expat takes it by position
    except expat.ExpatError as error:
        raise KisError.of("WORKBOOK_BROKEN") from error


def local(name: str) -> str:
    """Return a name without its namespace prefix.

    >>> local("x:row"), local("row")
    ('row', 'row')
    """
    return name.rpartition(":")[2]


def elements(xml: bytes) -> list[Element]:
    """Return every element of a small part, in the order in which they end."""
    found: list[Element] = []
    open_: list[tuple[str, dict[str, str], list[str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        open_.append((local(name), attributes, []))

    def text(characters: str) -> None:
        open_[-1][2].append(characters)

    def end(_name: str) -> None:
        name, attributes, texts = open_.pop()
        found.append(Element(name, attributes, "".join(texts)))

    parser = xml_parser(xml)
    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EndElementHandler = end
    parse(parser, xml)
    return found


def relationships(parts: Mapping[str, bytes], part: str) -> list[Relationship]:
    """Return what a part ("" for the package itself) refers to."""
    folder, name = posixpath.split(part)
    xml = parts.get(posixpath.join(folder, "_rels", f"{name}.rels"))
    return list(_relationships(xml, folder)) if xml is not None else []


def _relationships(xml: bytes, folder: str) -> Iterator[Relationship]:
    for element in elements(xml):
        if element.name == "Relationship":
            external = element.get("TargetMode").lower() == "external"
            target = element.get("Target")
            if not external:
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            kind = element.get("Type").rpartition("/")[2]
            yield Relationship(element.get("Id"), kind, target, external)


def workbook_part(parts: Mapping[str, bytes]) -> str:
    """Return the name of the part that holds tabs and names."""
    for relationship in relationships(parts, ""):
        if relationship.kind == "officeDocument" and relationship.target in parts:
            return relationship.target
    raise KisError.of("NOT_A_WORKBOOK")


def sheet_parts(parts: Mapping[str, bytes]) -> list[SheetPart]:
    """Return the worksheets, in the order of their tabs; a chart on a tab of its own is none."""
    book = workbook_part(parts)
    targets = {r.id: r for r in relationships(parts, book)}
    tabs = [element for element in elements(parts[book]) if element.name == "sheet"]
    found = []
    for index, tab in enumerate(tabs):
        ids = [v for k, v in tab.attributes.items() if k != "id" and local(k) == "id"]
        relationship = targets.get(ids[0]) if ids else None
        if relationship is None or relationship.target not in parts:
            raise KisError.of("WORKBOOK_BROKEN")
        if relationship.kind == "worksheet":
            found.append(SheetPart(tab.get("name"), relationship.target, index))
    return found
