"""Remembered tokens: bounded, never past their time, forgotten when told."""

from __future__ import annotations

from typing import cast

from gateway.api.orders import Revoke
from policies.oauth2.keys import VerificationKey
from policies.oauth2.remembered import Entry, Remembered


class Key:
    live = True


def entry(until: float, key: Key | None = None, **claims: str) -> Entry:
    return Entry(claims, cast(VerificationKey, key or Key()), until)


def test_an_entry_is_there_until_its_time_and_then_gone() -> None:
    table = Remembered()
    made = entry(10)
    table.put(b"a", made, 0)
    assert table.get(b"a", 9.9) is made
    assert table.get(b"a", 10) is None
    assert len(table) == 0


def test_a_dead_key_ends_its_entries() -> None:
    table, key = Remembered(), Key()
    table.put(b"a", entry(10, key), 0)
    key.live = False
    assert table.get(b"a", 1) is None


def test_the_least_recently_used_goes_first() -> None:
    table = Remembered(capacity=2)
    table.put(b"a", entry(10), 0)
    table.put(b"b", entry(10), 0)
    assert table.get(b"a", 1)
    table.put(b"c", entry(10), 1)
    assert [bool(table.get(name, 1)) for name in (b"a", b"b", b"c")] == [True, False, True]
    assert table.evicted == 1


def test_newcomers_clear_away_what_is_over() -> None:
    table = Remembered()
    for number in range(100):
        table.put(b"old-%d" % number, entry(10), 0)
    for number in range(60):
        table.put(b"new-%d" % number, entry(100), 50)
    assert len(table) == 60
    assert table.evicted == 0


def test_forgetting_by_id_and_by_subject() -> None:
    table = Remembered()
    table.put(b"a", entry(10, jti="1", sub="x"), 0)
    table.put(b"b", entry(10, jti="2", sub="x", iat=4), 0)
    table.put(b"c", entry(10, jti="3", sub="y"), 0)
    table.put(b"d", entry(10), 0)
    table.put(b"e", entry(10, jti="4", sub="x", iat=6), 0)
    assert table.forget(Revoke("partners", "3", None, 5, 10)) == 1
    assert table.forget(Revoke("partners", None, "x", 5, 10)) == 2  # the last one was issued later
    assert table.forget(Revoke("partners", None, "z", 5, 10)) == 0
    assert len(table) == 2
