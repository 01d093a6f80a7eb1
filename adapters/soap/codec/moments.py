"""Dates, times and durations of XML Schema (part 2 §3.2.6 to §3.2.14) as text: valid or not, earlier or later."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_ZONE: Final = r"(?P<zone>Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
_YEAR: Final = r"(?P<year>-?(?:[1-9][0-9]{3,8}|0(?!000)[0-9]{3}))"  # part 2 §3.2.7: there is no year zero
_MONTH: Final = r"(?P<month>0[1-9]|1[0-2])"
_MONTH_OF_DAY: Final = (
    rf"(?!02-3|(?:0[469]|11)-31){_MONTH}"  # the 29th of February depends on the year, where there is one
)
_DAY: Final = r"(?P<day>0[1-9]|[12][0-9]|3[01])"
_TIME: Final = (
    r"(?:(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9](?:\.[0-9]{1,20})?)"
    r"|(?P<midnight>24:00:00(?:\.0{1,20})?))"
)
_FORMS: Final = {
    "date": (rf"{_YEAR}-{_MONTH_OF_DAY}-{_DAY}{_ZONE}", "a date is expected, as in 2031-01-31"),
    "dateTime": (
        rf"{_YEAR}-{_MONTH_OF_DAY}-{_DAY}T{_TIME}{_ZONE}",
        "a date and time is expected, as in 2031-01-31T12:00:00Z",
    ),
    "time": (rf"{_TIME}{_ZONE}", "a time is expected, as in 12:00:00"),
    "gYear": (rf"{_YEAR}{_ZONE}", "a year is expected, as in 2031"),
    "gYearMonth": (rf"{_YEAR}-{_MONTH}{_ZONE}", "a year and month is expected, as in 2031-01"),
    "gMonth": (rf"--{_MONTH}{_ZONE}", "a month is expected, as in --01"),
    "gMonthDay": (rf"--{_MONTH_OF_DAY}-{_DAY}{_ZONE}", "a month and day is expected, as in --01-31"),
    "gDay": (rf"---{_DAY}{_ZONE}", "a day is expected, as in ---31"),
}
_DURATION: Final = re.compile(
    r"(?P<sign>-)?P(?=[0-9T])(?:(?P<years>[0-9]{1,9})Y)?(?:(?P<months>[0-9]{1,9})M)?(?:(?P<days>[0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,9})H)?(?:(?P<minutes>[0-9]{1,9})M)?(?:(?P<seconds>[0-9]{1,9}(?:\.[0-9]{1,20})?)S)?)?"
)
_PATTERNS: Final = {kind: re.compile(pattern) for kind, (pattern, _) in _FORMS.items()}


def _valid(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    fullmatch, has_year = pattern.fullmatch, "year" in pattern.groupindex

    def valid(text: str) -> bool:
        match = fullmatch(text)
        if match is None:
            return False
        if "-02-29" in text and has_year:
            year = int(match["year"])
            return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return True

    return valid


MOMENTS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    **{kind: (_valid(_PATTERNS[kind]), what) for kind, (_, what) in _FORMS.items()},
    "duration": (lambda text: _DURATION.fullmatch(text) is not None, "a duration is expected, as in P1DT2H"),
}


def instant(kind: str, text: str) -> float:
    """A number that orders moments of one kind; without a zone UTC is taken. Good to a microsecond in our era."""
    if kind == "duration":
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError(text)
        amount = {key: float(value) for key, value in match.groupdict(default="0").items() if key != "sign"}
        months = amount["years"] * 12 + amount["months"]
        days = months * 30.436875 + amount["days"]
        total = ((days * 24 + amount["hours"]) * 60 + amount["minutes"]) * 60 + amount["seconds"]
        return -total if match["sign"] else total
    match = _PATTERNS[kind].fullmatch(text)
    if match is None:
        raise ValueError(text)
    parts = match.groupdict()
    year, month, day = (int(parts.get(key) or default) for key, default in (("year", 2000), ("month", 1), ("day", 1)))
    shifted = year - (month <= 2)  # days from the civil calendar, March-based years
    era_days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
    days = era_days + (153 * ((month + 9) % 12) + 2) // 5 + day
    hours = 24 if parts.get("midnight") else int(parts.get("hour") or 0)
    seconds = float(parts.get("second") or 0) + 60 * int(parts.get("minute") or 0) + 3600 * hours
    zone = parts.get("zone")
    if zone and zone != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[4:])
        seconds -= (minutes if zone[0] == "+" else -minutes) * 60
    return days * 86400.0 + seconds
