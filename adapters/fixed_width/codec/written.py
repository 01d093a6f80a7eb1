"""Numbers and dates as characters, for plain layouts and national decimals. Knows one field's text at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from adapters.fixed_width.codec.numbers import Misfit, text_of

_DIGITS = re.compile(r"[0-9]+")


def national_reader(leading: bool, trailing: bool) -> Callable[[str], int]:
    """Digits of a national decimal with its separate sign, if it has one."""

    def read(text: str) -> int:
        sign = text[:1] if leading else text[-1:] if trailing else "+"
        digits = text[1:] if leading else text[:-1] if trailing else text
        if sign not in ("+", "-") or not _DIGITS.fullmatch(digits):
            raise Misfit("digits are expected")
        return -int(digits) if sign == "-" else int(digits)

    return read


def number_reader(scale: int, pad: str, *, point: bool) -> Callable[[str], int]:
    """A padded number, its point written or implied; the integer that stands for it."""
    pattern = re.compile(rf"([+-]?)([0-9]*)\.([0-9]{{{scale}}})" if point and scale else r"([+-]?)([0-9]+)()")

    def read(text: str) -> int:
        body = text.strip(" ")
        if pad not in (" ", "0"):
            body = body.strip(pad)
        match = pattern.fullmatch(body)
        if match is None or not match.group(2) + match.group(3):
            raise Misfit("a number is expected")
        value = int(match.group(2) + match.group(3))
        return -value if match.group(1) == "-" else value

    return read


def number_writer(size: int, scale: int, pad: str, *, point: bool, right: bool) -> Callable[[int], str]:
    """The integer as padded text. Raises Misfit when it is too long; zeros go behind the sign."""

    def write(value: int) -> str:
        text = text_of(value, scale) if point and scale else str(value)
        if len(text) > size:
            raise Misfit("the number has too many digits")
        if pad == "0":
            return f"-{text[1:].rjust(size - 1, '0')}" if value < 0 else text.rjust(size, "0")
        return text.rjust(size, pad) if right else text.ljust(size, pad)

    return write


_ISO = (("%H", "%Y-%m-%dT%H:%M:%S"), ("", "%Y-%m-%d"))


def _iso_for(form: str) -> str:
    return next(iso for mark, iso in _ISO if mark in form)


def date_reader(form: str) -> Callable[[str], str]:
    """Text in `form` (strptime's letters) as an ISO 8601 date, or date and time where it has hours."""
    iso = _iso_for(form)

    def read(text: str) -> str:
        try:
            found = datetime.strptime(text, form)  # a record's date has no zone
        except ValueError as exc:
            raise Misfit("not a date of the form that the layout gives") from exc
        if found.strftime(form) != text:
            raise Misfit("not a date of the form that the layout gives")
        return found.strftime(iso) if found.year >= 1000 else found.isoformat()[: 19 if "T" in iso else 10]

    return read


def date_writer(form: str, size: int) -> Callable[[object], str]:
    """ISO 8601 in, text in `form` out. Raises Misfit for anything else."""
    iso = _iso_for(form)

    def write(value: object) -> str:
        if not isinstance(value, str):
            raise Misfit("a date is a string")
        try:
            text = datetime.strptime(value, iso).strftime(form)
        except ValueError as exc:
            raise Misfit(f"a date is written {'YYYY-MM-DDThh:mm:ss' if 'T' in iso else 'YYYY-MM-DD'}") from exc
        if len(text) != size:
            raise Misfit("the date does not have the field's length")
        return text

    return write
