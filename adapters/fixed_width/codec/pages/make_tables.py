"""Writes the tables of the mixed double-byte pages from glibc's iconv. Run by hand, on Linux, when a page is added.

    python -m adapters.fixed_width.codec.pages.make_tables

Each table is UTF-8 text: line 1 the characters of bytes 00 to FF, then for each lead byte that is in use its
hexadecimal value and the characters of trail bytes 40 to FE; U+FFFD is unassigned. No character has two codes.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

PAGES = {"cp930": b"IBM930", "cp939": b"IBM939"}
HOLE = "\ufffd"
_libc = ctypes.CDLL(None)
_libc.iconv_open.restype = ctypes.c_void_p


class Iconv:
    """One direction of glibc's converter."""

    def __init__(self, to: bytes, source: bytes) -> None:
        self.handle = ctypes.c_void_p(_libc.iconv_open(to, source))
        if self.handle.value in (None, ctypes.c_void_p(-1).value):
            raise SystemExit(f"iconv knows no {source!r} to {to!r}")

    def convert(self, source: bytes) -> bytes | None:
        """All of `source` from the initial shift state, back to it; None where it does not convert whole."""
        _libc.iconv(self.handle, None, None, None, None)
        data, out = ctypes.create_string_buffer(source, len(source)), ctypes.create_string_buffer(64)
        left, room = ctypes.c_size_t(len(source)), ctypes.c_size_t(64)
        into, to = ctypes.c_char_p(ctypes.addressof(data)), ctypes.c_char_p(ctypes.addressof(out))
        if _libc.iconv(self.handle, ctypes.byref(into), ctypes.byref(left), ctypes.byref(to), ctypes.byref(room)) != 0:
            return None
        _libc.iconv(self.handle, None, None, ctypes.byref(to), ctypes.byref(room))
        return out.raw[: 64 - room.value]


def table(page: bytes) -> str:
    """The text of one page's table."""
    reads = Iconv(b"UTF-8", page)

    def character(code: bytes) -> str:
        found = reads.convert(code)
        text = found.decode() if found else HOLE
        return text if len(text) == 1 else HOLE

    def escaped(text: str) -> str:
        return text.encode("unicode_escape").decode() if ord(text) < 0xA0 and text != " " else text

    singles = [HOLE if byte in (0x0E, 0x0F) else character(bytes([byte])) for byte in range(256)]
    lines = [" ".join(escaped(one) if one != " " else "\\x20" for one in singles)]
    seen: set[str] = set()
    for lead in range(0x40, 0xFF):
        row = [character(bytes([0x0E, lead, trail, 0x0F])) for trail in range(0x40, 0xFF)]
        used = [one for one in row if one != HOLE]
        if len(set(used)) < len(used) or seen & set(used):
            raise SystemExit(f"{page!r}: two codes for one character, which this form of table cannot hold")
        seen.update(used)
        if any(one != HOLE for one in row):
            lines.append(f"{lead:02x} {''.join(row)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, page in PAGES.items():
        target = Path(__file__).with_name(f"{name}.txt")
        target.write_text(table(page), encoding="utf-8")
        sys.stdout.write(f"{target}\n")
