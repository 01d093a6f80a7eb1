"""Dates in HTTP fields (RFC 9110 §5.6.7). The clock is an argument."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"

# The three formats, in the order of the RFC; a recipient must take all of them. RFC 9111 §4.2: caches do not mind the case
_FORMATS = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE).fullmatch
    for pattern in (
        rf"(?:{'|'.join(_DAYS)}), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",  # IMF-fixdate
        rf"(?:{'|'.join(_LONG_DAYS)}), (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",  # RFC 850
        rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",  # asctime
    )
)


def format_date(unix_s: float) -> bytes:
    """IMF-fixdate of Unix seconds, rounded down. Raises ValueError beyond the years 1 to 9999."""
    return _format(int(unix_s // 1))


@lru_cache(maxsize=64)  # a busy second asks for the same date thousands of times
def _format(second: int) -> bytes:
    try:
        at = datetime.fromtimestamp(second, UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise ValueError("no such date") from exc
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at.hour:02}:{at.minute:02}:{at.second:02} GMT"
    ).encode("ascii")


def parse_date(raw: bytes, now: float) -> int | None:
    """Unix seconds of an HTTP date in any of the three formats, or None. `now` places two-digit years.

    The name of the day is not compared with the date. A leap second counts as the second after it.
    """
    text = raw.decode("latin-1")
    for matches in _FORMATS:
        found = matches(text)
        if found is None:
            continue
        year, month, day = int(found["year"]), _MONTHS.index(found["month"].title()) + 1, int(found["day"])
        hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
        if len(found["year"]) == 2:
            year += datetime.fromtimestamp(now, UTC).year // 100 * 100
        if not (year >= 1 and 1 <= day <= _month_length(year, month) and hour < 24 and minute < 60 and second < 61):
            return None
        at = timegm((year, month, day, hour, minute, second))
        if len(found["year"]) == 2 and at > _fifty_years_on(now):
            # RFC 9110: more than 50 years in the future means the most recent past year with the same last two digits
            # (no 29 February is lost: the one year of a century that may lack it is its first, never the one ahead)
            at = timegm((year - 100, month, day, hour, minute, second))
        return at
    return None


def _fifty_years_on(now: float) -> int:
    at = datetime.fromtimestamp(now, UTC)
    return timegm((at.year + 50, at.month, at.day, at.hour, at.minute, at.second))


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31
