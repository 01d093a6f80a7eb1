"""Code pages: bytes of a record to characters and back. Knows nothing of fields.

Single-byte pages are one table of 256 characters, which lets the plan translate a whole record at once. Python's own
pages come first, then those of the package `ebcdic`, then the mixed pages kept in `pages/`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ebcdic

HOLE = "\ufffe"  # what codecs.charmap_decode takes as unassigned
DBCS_PAGES = ("cp930", "cp939")
SO, SI = 0x0E, 0x0F  # shift out to double bytes, shift in to single ones
_PAGES = Path(__file__).with_name("pages")
_NUMBERED = re.compile(r"(?:ibm|cp|ccsid|ebcdic[-_]?cp)?[-_ ]?0*(\d{2,5})", re.I)


@dataclass(frozen=True, slots=True)
class CodePage:
    """One page. `table` has 256 characters where every byte stands for itself, else it is empty.

    `decode` and `encode` raise UnicodeError at what the page does not have. `read_dbcs` and `write_dbcs` handle
    double bytes without shifts and are None where the page has none.
    """

    name: str
    table: str
    ebcdic: bool
    decode: Callable[[bytes], str]
    encode: Callable[[str], bytes]
    read_dbcs: Callable[[bytes], str] | None = None
    write_dbcs: Callable[[str], bytes] | None = None

    @property
    def whole(self) -> bool:
        """Whether every byte has a character, so that a whole record can be decoded before it is cut."""
        return bool(self.table) and HOLE not in self.table

    @property
    def blank(self) -> bytes:
        return b"\x40" if self.ebcdic else b" "

    @property
    def digits(self) -> str:
        """A table that has the digits, signs and blank of this page, for numbers in pages of several bytes."""
        return self.table or code_page("cp037" if self.ebcdic else "latin-1").table


@cache
def code_page(name: str) -> CodePage:
    """The page of that name: `cp1047`, `IBM-1047` and `1047` are one. Raises LookupError or ValueError."""
    ebcdic.lookup("cp1047")  # importing the package registers its pages; this states the dependency
    wanted = _normal(name)
    if wanted in DBCS_PAGES:
        return _mixed(wanted)
    try:
        codec = codecs.lookup(wanted)
    except LookupError as exc:
        raise LookupError(f"unknown code page {name}") from exc
    if not codec._is_text_encoding:
        raise LookupError(f"{name} is not a character encoding")
    try:
        zero = codec.encode("0")[0]
    except UnicodeError as exc:
        raise ValueError(f"code page {name} has no digits") from exc
    if zero not in (b"\xf0", b"0"):
        raise ValueError(f"code page {name} does not write a digit as one byte")
    table = _single_byte_table(codec)
    if not table:
        return CodePage(
            wanted, "", zero == b"\xf0", lambda raw: codec.decode(raw)[0], lambda text: codec.encode(text)[0]
        )
    mapping = codecs.charmap_build(table)
    return CodePage(
        wanted,
        table,
        zero == b"\xf0",
        lambda raw: codecs.charmap_decode(raw, "strict", table)[0],
        lambda text: codecs.charmap_encode(text, "strict", mapping)[0],
    )


def _normal(name: str) -> str:
    if match := _NUMBERED.fullmatch(name.strip()):
        return f"cp{int(match.group(1)):03d}"
    return name.strip().lower()


def _single_byte_table(codec: codecs.CodecInfo) -> str:
    """The page's table, or nothing when some character takes several bytes."""
    for probe in ("é", "漢", "한", "я", "ｱ", "€", "、"):
        try:
            if len(codec.encode(probe)[0]) > 1:
                return ""
        except UnicodeError:
            continue
    table = []
    for byte in range(256):
        try:
            text = codec.decode(bytes([byte]))[0]
        except UnicodeError:
            text = HOLE
        table.append(text if len(text) == 1 else HOLE)
    if table[0x15] == table[0x25] == "\n":
        # `ebcdic` reads both as a line feed in cp1141 to cp1149; CDRA and glibc have X'15' as next line.
        table[0x15] = "\x85"
    # Some pages of Python and `ebcdic` say "unassigned" by the substitute character.
    return "".join(
        HOLE if text == "\x1a" and table.count(text) > 1 and byte != 0x3F else text for byte, text in enumerate(table)
    )


def _mixed(name: str) -> CodePage:
    first, *rows = (_PAGES / f"{name}.txt").read_text(encoding="utf-8").split("\n")
    singles = [one.encode("raw_unicode_escape").decode("unicode_escape") for one in first.split(" ")]
    to_single = {one: bytes([byte]) for byte, one in enumerate(singles) if one != "\ufffd"}
    to_double: dict[str, bytes] = {}
    for row in rows:
        lead = int(row[:2], 16) if row else 0
        to_double.update({one: bytes((lead, trail)) for trail, one in enumerate(row[3:], 0x40) if one != "\ufffd"})
    from_single = {raw[0]: one for one, raw in to_single.items()}
    from_double = {raw: one for one, raw in to_double.items()}

    def read_dbcs(raw: bytes) -> str:
        try:
            return "".join([from_double[raw[at : at + 2]] for at in range(0, len(raw), 2)])
        except KeyError as exc:
            raise UnicodeDecodeError(name, raw, 0, len(raw), "no such double-byte character") from exc

    def write_dbcs(text: str) -> bytes:
        try:
            return b"".join([to_double[one] for one in text])
        except KeyError as exc:
            raise UnicodeEncodeError(name, text, 0, len(text), "not a double-byte character of the page") from exc

    def decode(raw: bytes) -> str:
        out: list[str] = []
        at = 0
        while at < len(raw):
            byte = raw[at]
            if byte == SO:
                end = raw.find(SI, at)
                # A trail byte may be 0x0F in no page here: trail bytes start at 0x40.
                if end < 0 or (end - at) % 2 == 0:
                    raise UnicodeDecodeError(name, raw, at, len(raw), "double bytes without their shift-in")
                out.append(read_dbcs(raw[at + 1 : end]))
                at = end + 1
            elif byte in from_single:
                out.append(from_single[byte])
                at += 1
            else:
                raise UnicodeDecodeError(name, raw, at, at + 1, "no such character")
        return "".join(out)

    def encode(text: str) -> bytes:
        out = bytearray()
        double = False
        for at, one in enumerate(text):
            single = to_single.get(one)
            raw = single or to_double.get(one)
            if raw is None:
                raise UnicodeEncodeError(name, text, at, at + 1, "no such character in the page")
            if double != (single is None):
                double = single is None
                out.append(SO if double else SI)
            out += raw
        if double:
            out.append(SI)
        return bytes(out)

    return CodePage(name, "", True, decode, encode, read_dbcs, write_dbcs)


def lenient_decode(page: CodePage) -> Callable[[bytes], str]:
    """The page's decode with U+FFFD for what it does not have, one for each byte."""

    def decode(raw: bytes) -> str:
        try:
            return page.decode(raw)
        except UnicodeError:
            return "".join(_one(page, byte) for byte in raw)

    return decode


def _one(page: CodePage, byte: int) -> str:
    try:
        return page.decode(bytes([byte]))
    except UnicodeError:
        return "\ufffd"
