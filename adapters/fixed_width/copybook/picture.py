"""PICTURE character-strings. Knows nothing of USAGE or storage beyond character positions.

Rules: Language Reference, "PICTURE clause", "Symbols used in the PICTURE clause", "PICTURE clause editing".
"""

from __future__ import annotations

import re

from adapters.fixed_width.model import Picture

_REPEATED = re.compile(r"(CR|DB|.)(?:\((\d+)\))?", re.S)
_KNOWN = frozenset("ABCDEGNPRSVXZ90/,.+-*$")
MAX_POSITIONS = 1 << 27  # the largest item Enterprise COBOL accepts has 134,217,727 bytes or more; more is a slip
MAX_DIGITS = 31  # 18, or 31 with ARITH(EXTEND)
MAX_DIGITS_ELSEWHERE = 38


def expand(string: str) -> str:
    """The string with every repetition written out, in upper case. Raises ValueError saying what is wrong."""
    text = string.upper()
    out: list[str] = []
    total = 0
    position = 0
    while position < len(text):
        match = _REPEATED.match(text, position)
        assert match is not None, "the pattern matches any character"
        symbol, count = match.group(1), match.group(2)
        if symbol in "()":
            raise ValueError(f"PICTURE {string}: a parenthesis needs a symbol before it and a count in it")
        if symbol not in ("CR", "DB") and symbol not in _KNOWN:
            raise ValueError(f"PICTURE {string}: unknown symbol '{symbol}'")
        times = int(count) if count is not None and len(count) < 12 else 1 if count is None else MAX_POSITIONS + 1
        if times == 0:
            raise ValueError(f"PICTURE {string}: a count of zero")
        if symbol in "SV" and (times > 1):
            raise ValueError(f"PICTURE {string}: {symbol} stands once")
        total += times
        if total > MAX_POSITIONS:
            raise ValueError(f"PICTURE {string}: more than {MAX_POSITIONS} positions")
        out.append(symbol * times)
        position = match.end()
    return "".join(out)


def parse_picture(string: str, *, max_digits: int = MAX_DIGITS, currency: str = "$") -> Picture:
    """Understand one character-string. Raises ValueError saying what is wrong with it."""
    text = expand(string.replace(currency, "$") if currency != "$" else string)
    symbols = set(text)
    if not text:
        raise ValueError("PICTURE without a character-string")
    if symbols <= {"A", "B"} and "A" in symbols:
        return Picture("alphabetic", text, len(text))
    if symbols <= {"9", "S", "V", "P"}:
        return _numeric(string, text, max_digits)
    if symbols <= {"N"}:
        return Picture("national", text, len(text))
    if symbols <= {"G", "B"} and "G" in symbols:
        return Picture("dbcs", text, len(text))
    if symbols <= {"X", "A", "9"}:
        return Picture("alphanumeric", text, len(text))
    if symbols <= {"X", "A", "9", "B", "0", "/"} and symbols & {"X", "A"}:
        return Picture("alphanumeric-edited", text, len(text))
    if symbols <= {"N", "B", "0", "/"} and "N" in symbols:
        return Picture("national", text, len(text))
    return _numeric_edited(string, text, max_digits)


def _numeric(string: str, text: str, max_digits: int) -> Picture:
    # "P": V beside the Ps is redundant, as the assumed point can stand nowhere else.
    match = re.fullmatch(r"(S?)(P*)(9*)(V?)(P*)(9*)(P*)", text[:-1] if text.endswith("PV") else text)
    if match is None:
        raise ValueError(f"PICTURE {string}: S comes first, V stands once, and P stands at one end")
    sign, lead, whole, point, mid, fraction, tail = match.groups()
    if not whole + fraction:
        raise ValueError(f"PICTURE {string}: no digit position")
    if point and mid and whole:
        raise ValueError(f"PICTURE {string}: P stands at one end only")
    # The assumed point is left of leading Ps and right of trailing Ps.
    if lead or (point and mid and not whole):
        if tail or (lead and (mid or (point and whole))):
            raise ValueError(f"PICTURE {string}: P stands at one end only")
        digits = len(whole) + len(fraction)
        scale = len(lead) + len(mid) + digits
    elif mid or tail:
        if fraction:
            raise ValueError(f"PICTURE {string}: P stands at one end only")
        digits = len(whole)
        scale = -(len(mid) + len(tail))
    else:
        if not point and fraction:
            whole, fraction = whole + fraction, ""
        digits, scale = len(whole) + len(fraction), len(fraction)
    if digits > max_digits:
        raise ValueError(f"PICTURE {string}: {digits} digits, at most {max_digits} are possible")
    return Picture("numeric", text, digits, digits, scale, bool(sign))


def _numeric_edited(string: str, text: str, max_digits: int) -> Picture:
    """Categories by their symbols, then counts; the editing itself is compiled by the codec."""
    body = text.replace("CR", "c").replace("DB", "d")
    if set(body) - set("B/P VZ90,.*+-$cd"):
        bad = sorted(set(body) - set("B/PVZ90,.*+-$cd"))
        raise ValueError(f"PICTURE {string}: {', '.join(bad)} cannot stand beside the other symbols")
    if body.count("V") + body.count(".") > 1:
        raise ValueError(f"PICTURE {string}: one decimal point")
    if "Z" in body and "*" in body:
        raise ValueError(f"PICTURE {string}: Z and * exclude each other")
    floats = [symbol for symbol in "+-$" if body.count(symbol) > 1]
    if len(floats) > 1 or (floats and set(body) & {"Z", "*"}):
        raise ValueError(f"PICTURE {string}: one kind of floating or suppressed position")
    signs = [symbol for symbol in "+-cd" if symbol in body]
    if len(signs) > 1 or body.count("c") + body.count("d") > 1:
        raise ValueError(f"PICTURE {string}: one sign")
    if set(body) & {"c", "d"} and body[-1] not in "cd":
        raise ValueError(f"PICTURE {string}: CR or DB stands at the end")
    for symbol in "+-":
        if (
            body.count(symbol) == 1
            and symbol not in (body[0], body[-1])
            and not (symbol == body[1:2] and body[0] == "$")
        ):
            raise ValueError(f"PICTURE {string}: a sign stands at one end")
    if "$" in body and "$" not in floats and body.lstrip("+-")[:1] != "$":
        raise ValueError(f"PICTURE {string}: a currency symbol stands before the digits")
    floating = floats[0] if floats else ""
    positions = [symbol for symbol in body if symbol in "9Z*" or symbol == floating]
    digits = len(positions) - (1 if floating else 0)  # the first floating symbol only inserts
    if digits < 1:
        raise ValueError(f"PICTURE {string}: no digit position")
    if digits > max_digits:
        raise ValueError(f"PICTURE {string}: {digits} digits, at most {max_digits} are possible")
    match = re.search(r"[V.]", body)
    scale = sum(1 for symbol in body[match.end() :] if symbol in "9Z*" or symbol == floating) if match else 0
    if "P" in body:
        raise ValueError(f"PICTURE {string}: P in an edited picture is not supported")
    size = len(text) - body.count("V")
    return Picture("numeric-edited", text, size, digits, scale, bool(signs))
