"""Dates (RFC 9110 §5.6.7): one format written, three read."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.dates import format_date, parse_date

NOW = 1_700_000_000.0  # November 2023
EXAMPLE = 784_111_777  # the RFC's own


def test_the_example_of_the_rfc_in_three_formats() -> None:
    assert format_date(EXAMPLE + 0.9) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    for text in (b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"):
        assert parse_date(text, NOW) == EXAMPLE


@pytest.mark.parametrize(
    ("text", "year"),
    [
        (b"Monday, 01-Jan-24 00:00:00 GMT", 2024),
        (b"Monday, 01-Jan-73 00:00:00 GMT", 2073),
        (b"Monday, 01-Jan-74 00:00:00 GMT", 1974),
        (b"Monday, 01-Jan-99 00:00:00 GMT", 1999),
        (b"Monday, 29-Feb-96 00:00:00 GMT", 1996),
    ],
)
def test_two_digit_years_are_at_most_fifty_years_ahead(text: bytes, year: int) -> None:
    at = parse_date(text, NOW)
    assert at is not None
    assert format_date(at)[12:16] == b"%d" % year


@pytest.mark.parametrize(
    "text", [b"sun, 06 nov 1994 08:49:37 gmt", b"SUNDAY, 06-NOV-94 08:49:37 GMT", b"sun nov  6 08:49:37 1994"]
)
def test_the_case_of_a_date_does_not_matter(text: bytes) -> None:
    assert parse_date(text, NOW) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        b"", b"0", b"-1", b"Sun, 06 Nov 1994 08:49:37", b"Sun, 06 Nov 1994 08:49:37 UTC", b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 31 Feb 1994 08:49:37 GMT", b"Sun, 29 Feb 2100 08:49:37 GMT", b"Sun, 00 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 24:00:00 GMT", b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:60:00 GMT", b"Sun, 06 Nov 1994 08:49:61 GMT", b" Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 29-Feb-00 08:49:37 GMT x", b"\xff",
    ],
)  # fmt: skip
def test_what_is_no_date(text: bytes) -> None:
    assert parse_date(text, NOW) is None


def test_a_leap_day_goes_back_a_century() -> None:
    at = parse_date(b"Monday, 29-Feb-96 00:00:00 GMT", NOW)
    assert at is not None
    assert format_date(at) == b"Thu, 29 Feb 1996 00:00:00 GMT"


def test_a_leap_second() -> None:
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == 1_483_228_800


def test_beyond_four_digits() -> None:
    with pytest.raises(ValueError, match="no such date"):
        format_date(1e15)


@given(st.integers(0, 253_402_300_799))
def test_what_is_written_is_read_again(at: int) -> None:
    written = format_date(at)
    assert parse_date(written, NOW) == at
    assert written.decode() == email.utils.formatdate(at, usegmt=True)
