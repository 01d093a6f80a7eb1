"""Sign and digit tables of zoned and packed decimals. Knows single bytes and nothing around them.

Principles of Operation, "Decimal-number representation": zones and sign codes A, C, E, F are plus, B and D minus;
C and D are preferred, F where there is no sign. ASCII data carries the letters that those bytes become in
translation ({ and A to I, } and J to R) or, from GnuCOBOL and Micro Focus, p to y for minus.
"""

from __future__ import annotations

from typing import Final

PLUS_NIBBLES: Final = "cfae"
MINUS_NIBBLES: Final = "db"
_PLUS_LETTERS, _MINUS_LETTERS, _MINUS_NATIVE = b"{ABCDEFGHI", b"}JKLMNOPQR", b"pqrstuvwxy"


def digit_table(ebcdic: bool) -> bytes:
    """For bytes.translate: digits become ASCII digits, everything else a letter that int() refuses."""
    zone = 0xF0 if ebcdic else 0x30
    return bytes(byte - zone + 0x30 if zone <= byte <= zone + 9 else ord("x") for byte in range(256))


def sign_table(ebcdic: bool) -> tuple[int | None, ...]:
    """For each byte with an overpunched sign its digit, minus 1 - digit when negative, None when it is no such byte."""
    table: list[int | None] = [None] * 256
    if ebcdic:
        for zone in range(0xA, 0x10):
            for digit in range(10):
                table[zone << 4 | digit] = -1 - digit if zone in (0xB, 0xD) else digit
        return tuple(table)
    for digit in range(10):
        table[0x30 + digit] = table[_PLUS_LETTERS[digit]] = digit
        table[_MINUS_LETTERS[digit]] = table[_MINUS_NATIVE[digit]] = -1 - digit
    return tuple(table)


def sign_bytes(ebcdic: bool, dialect: str) -> tuple[bytes, bytes]:
    """The bytes that are written for plus and for minus, each for digits 0 to 9."""
    if ebcdic:
        return bytes(range(0xC0, 0xCA)), bytes(range(0xD0, 0xDA))
    if dialect == "ibm":
        return _PLUS_LETTERS, _MINUS_LETTERS
    return b"0123456789", _MINUS_NATIVE
