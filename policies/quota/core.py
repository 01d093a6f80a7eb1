"""Calendar windows in a time zone. Knows no clock, no counts and no callers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """From `starts` to before `ends`, in Unix seconds. `name` tells it apart from all others of its unit and zone."""

    name: str
    starts: float
    ends: float


def window_of(unit: str, zone: ZoneInfo, now: float) -> Window:
    """The window of `unit` (hour, day, week from Monday, month) that `now` (Unix seconds) is in.

    A day is as long as the zone says: 23 or 25 hours where clocks change. An hour is an hour of time passed: the one that
    clocks repeat is two.
    """
    local = datetime.fromtimestamp(now, zone)
    if unit == "hour":
        # from the last full hour of the zone's clock, whose offset may not be a whole number of hours
        start = local.astimezone(UTC) - timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        return Window(start.strftime("%Y-%m-%dT%H%M"), start.timestamp(), start.timestamp() + 3600.0)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match unit:
        case "day":
            end = day + timedelta(days=1)  # of the calendar: midnight again, whatever the hours between
        case "week":
            day -= timedelta(days=day.weekday())
            end = day + timedelta(days=7)
        case "month":
            day = day.replace(day=1)
            end = (day + timedelta(days=31)).replace(day=1)
        case _:
            raise ValueError(f"no calendar window '{unit}'")
    return Window(day.strftime("%Y-%m-%d"), day.timestamp(), end.timestamp())
