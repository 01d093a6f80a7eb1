"""From clauses to storage: which form an elementary item has and how many bytes. Knows one item at a time.

Rules: Language Reference, "USAGE clause", "SIGN clause", "SYNCHRONIZED clause"; Programming Guide, "Formats for
numeric data". GnuCOBOL: binary-size 1-2-4-8. Micro Focus: "Storage assigned to COMP items", byte-storage mode.
"""

from __future__ import annotations

from adapters.fixed_width.copybook.entries import Entry
from adapters.fixed_width.copybook.picture import MAX_DIGITS, MAX_DIGITS_ELSEWHERE, parse_picture
from adapters.fixed_width.model import Item, Kind, Picture, Sign

_TEXT = frozenset(("alphabetic", "alphanumeric", "alphanumeric-edited"))
# Micro Focus, byte-storage mode: the most digits that n bytes take, signed and unsigned.
_MF_SIGNED = (2, 4, 6, 9, 11, 14, 16, 18)
_MF_UNSIGNED = (2, 4, 7, 9, 12, 14, 16, 19)


def binary_size(digits: int, *, signed: bool, dialect: str, native: bool = False) -> int:
    """Bytes of a BINARY item. Raises ValueError beyond 18 digits, which no compiler here stores."""
    if digits > 18:
        raise ValueError(f"a binary item has at most 18 digits, not {digits}")
    if dialect == "ibm":  # "COMPUTATIONAL": 1-4 halfword, 5-9 fullword, 10-18 doubleword
        return 2 if digits <= 4 else 4 if digits <= 9 else 8
    if dialect == "gnucobol" or native:
        return 1 if digits <= 2 else 2 if digits <= 4 else 4 if digits <= 9 else 8
    table = _MF_SIGNED if signed else _MF_UNSIGNED
    return next(size for size, most in enumerate(table, 1) if digits <= most)


def store(item: Item, entry: Entry, usage: str, sign: tuple[str, bool] | None, dialect: str) -> None:
    """Fill in kind, size and what goes with them. Raises ValueError in words for the entry's place."""
    if usage in ("COMP-1", "COMP-2"):
        if entry.picture:
            raise ValueError(f"USAGE {usage} takes no PICTURE")
        item.kind, item.size = (Kind.FLOAT, 4) if usage == "COMP-1" else (Kind.DOUBLE, 8)
    else:
        if entry.picture is None:
            raise ValueError("neither a group nor an item with a PICTURE")
        limit = MAX_DIGITS if dialect == "ibm" else MAX_DIGITS_ELSEWHERE
        item.picture = parse_picture(entry.picture[0], max_digits=limit)
        _store_picture(item, item.picture, usage, sign, dialect)
    item.full_range = usage == "COMP-5"
    item.little_endian = usage == "COMP-5" and dialect != "ibm"  # native there is x86
    if entry.synchronized:
        item.align = boundary(item)
    _flags(item, entry)


def _store_picture(item: Item, picture: Picture, usage: str, sign: tuple[str, bool] | None, dialect: str) -> None:
    category = picture.category
    if category == "national":
        if usage not in ("DISPLAY", "NATIONAL", "DISPLAY-1"):
            raise ValueError(f"PICTURE N does not go with USAGE {usage}")
        item.kind = Kind.DBCS if usage == "DISPLAY-1" else Kind.NATIONAL
        item.size = 2 * picture.size
    elif category == "dbcs":
        item.kind, item.size = Kind.DBCS, 2 * picture.size
    elif category in _TEXT:
        if usage != "DISPLAY":
            raise ValueError(f"an {category} PICTURE does not go with USAGE {usage}")
        item.kind, item.size = Kind.TEXT, picture.size
    elif category == "numeric-edited":
        if usage != "DISPLAY":
            raise ValueError(f"an edited PICTURE does not go with USAGE {usage}")
        item.kind, item.size = Kind.EDITED, picture.size
    elif usage in ("BINARY", "COMP-5"):
        item.kind = Kind.BINARY
        item.size = binary_size(picture.digits, signed=picture.signed, dialect=dialect, native=usage == "COMP-5")
    elif usage == "COMP-3":  # two digits a byte, the sign in the last half
        item.kind, item.size = Kind.PACKED, picture.digits // 2 + 1
    elif usage == "COMP-6":
        if dialect == "ibm":
            raise ValueError("COMP-6 is not Enterprise COBOL; --dialect gnucobol or microfocus knows it")
        if picture.signed:
            raise ValueError("COMP-6 has no sign")
        item.kind, item.size = Kind.UNSIGNED_PACKED, (picture.digits + 1) // 2
    elif usage in ("DISPLAY", "NATIONAL"):
        item.kind, item.size = Kind.ZONED, picture.digits
    else:
        raise ValueError(f"a numeric PICTURE does not go with USAGE {usage}")
    if item.kind is Kind.ZONED:
        _zoned(item, picture, usage, sign)
    elif sign is not None and not (category == "numeric" and picture.signed):
        raise ValueError("SIGN goes with a signed numeric item")


def _zoned(item: Item, picture: Picture, usage: str, sign: tuple[str, bool] | None) -> None:
    if picture.signed:
        where, separate = sign or ("TRAILING", False)
        if separate:
            item.sign = Sign.LEADING_SEPARATE if where == "LEADING" else Sign.TRAILING_SEPARATE
            item.size += 1
        else:
            item.sign = Sign.LEADING if where == "LEADING" else Sign.TRAILING
    elif sign is not None:
        raise ValueError("SIGN goes with an S in the PICTURE")
    if usage == "NATIONAL":
        if item.sign in (Sign.LEADING, Sign.TRAILING):
            raise ValueError("a signed item of USAGE NATIONAL needs SIGN … SEPARATE")
        item.kind = Kind.NATIONAL_ZONED
        item.size *= 2


def _flags(item: Item, entry: Entry) -> None:
    if entry.justified:  # "JUSTIFIED clause": alphabetic, alphanumeric, DBCS and national items
        if item.kind not in (Kind.TEXT, Kind.NATIONAL, Kind.DBCS):
            raise ValueError("JUSTIFIED goes with text")
        item.justified = True
    if entry.blank_when_zero:  # "BLANK WHEN ZERO clause": numeric of USAGE DISPLAY or NATIONAL without S, and edited
        unsigned = item.kind in (Kind.ZONED, Kind.NATIONAL_ZONED) and item.sign is Sign.NONE
        if not unsigned and item.kind is not Kind.EDITED:
            raise ValueError("BLANK WHEN ZERO goes with unsigned DISPLAY and edited numbers")
        if item.picture and "*" in item.picture.symbols:
            raise ValueError("BLANK WHEN ZERO does not go with * in the PICTURE")
        item.blank_when_zero = True


def boundary(item: Item) -> int:
    """What SYNCHRONIZED aligns to: "Slack bytes within records", the value m."""
    if item.kind is Kind.BINARY:
        return 2 if item.size <= 2 else 4
    return {Kind.FLOAT: 4, Kind.DOUBLE: 8}.get(item.kind or Kind.TEXT, 1)
