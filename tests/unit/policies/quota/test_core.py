"""Calendar windows: they cover all time without a gap, and begin where people say they do."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.quota.core import window_of

ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("unit", "zone", "now", "starts", "ends"),
    [
        ("hour", "UTC", "2026-11-23T10:59:59", "2026-11-23T10:00", "2026-11-23T11:00"),
        ("day", "UTC", "2026-11-23T00:00:00", "2026-11-23T00:00", "2026-11-24T00:00"),
        ("day", "Europe/Berlin", "2026-11-23T23:59:59", "2026-11-23T00:00", "2026-11-24T00:00"),
        ("week", "Europe/Berlin", "2026-11-29T23:00:00", "2026-11-23T00:00", "2026-11-30T00:00"),
        ("week", "UTC", "2027-01-01T12:00:00", "2026-12-28T00:00", "2027-01-04T00:00"),
        ("month", "America/New_York", "2026-12-31T23:59:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "UTC", "2028-02-29T10:00:00", "2028-02-01T00:00", "2028-03-01T00:00"),
    ],
)
def test_windows_are_those_of_the_calendar(unit, zone, now, starts, ends):
    window = window_of(unit, ZoneInfo(zone), at(now, zone))
    assert (window.starts, window.ends) == (at(starts, zone), at(ends, zone))


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29T12:00", 23), ("2026-10-25T12:00", 25), ("2026-10-26T12:00", 24)]
)
def test_a_day_is_as_long_as_clocks_say(day, hours):
    window = window_of("day", ZoneInfo("Europe/Berlin"), at(day, "Europe/Berlin"))
    assert window.ends - window.starts == hours * 3600


def test_the_hour_that_clocks_repeat_is_two():
    berlin = ZoneInfo("Europe/Berlin")
    first, second = at("2026-10-25T00:30"), at("2026-10-25T01:30")  # both 02:30 in Berlin
    one, other = window_of("hour", berlin, first), window_of("hour", berlin, second)
    assert one.ends == other.starts
    assert one.name != other.name


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda one: one.replace(tzinfo=UTC).timestamp())


@given(st.sampled_from(["hour", "day", "week", "month"]), st.sampled_from(ZONES), MOMENTS)
def test_windows_follow_each_other(unit, zone, now):
    window = window_of(unit, ZoneInfo(zone), now)
    assert window.starts <= now < window.ends
    assert window_of(unit, ZoneInfo(zone), window.starts) == window
    before = window_of(unit, ZoneInfo(zone), window.starts - 0.001)
    assert before.starts < window.starts
    assert before.name != window.name
    if unit != "hour":
        assert before.ends == window.starts
        assert window_of(unit, ZoneInfo(zone), window.ends).starts == window.ends


def test_other_units_are_none():
    with pytest.raises(ValueError, match="no calendar window"):
        window_of("year", ZoneInfo("UTC"), 0.0)
