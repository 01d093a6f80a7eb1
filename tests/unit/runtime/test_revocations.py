"""Revocations are kept for as long as they count, in a file that may be shared, torn or out of reach."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.api.orders import Revoke
from gateway.runtime.revocations import FILE, MAX_STANDING, Revocations
from gateway.testing.clock import FakeClock

CLOCK = FakeClock()
NOW = CLOCK.time()


def order(jti: str, until_s: float = 3600.0) -> Revoke:
    return Revoke("partners", jti, None, NOW, NOW + until_s)


def opened(folder: Path, clock: FakeClock = CLOCK) -> Revocations:
    revocations = Revocations(clock.time)
    revocations.open(folder)
    return revocations


def add(revocations: Revocations, *orders: Revoke) -> list[bool]:
    async def go() -> list[bool]:
        return [await revocations.add(one) for one in orders]

    return asyncio.run(go())


def test_a_restart_knows_what_was_revoked_and_still_counts(tmp_path: Path) -> None:
    subject = Revoke("partners", None, "eve", NOW, NOW + 60.5)
    assert add(opened(tmp_path / "state"), order("a"), subject) == [True, True]
    assert opened(tmp_path / "state").standing() == [order("a"), subject]
    later = FakeClock()
    later.advance(61)
    assert opened(tmp_path / "state", later).standing() == [order("a")]
    assert (tmp_path / "state" / FILE).stat().st_mode & 0o777 == 0o600


def test_gateways_that_share_a_folder_add_to_one_file(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    add(first, order("a"))
    add(second, order("b"))
    add(first, order("c"))
    assert [one.jti for one in opened(tmp_path).standing()] == ["a", "b", "c"]


def test_a_line_that_broke_off_costs_only_itself(tmp_path: Path) -> None:
    add(opened(tmp_path), order("a"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"issuer": "partn')
    add(opened(tmp_path), order("b"))
    assert [one.jti for one in opened(tmp_path).standing()] == ["a", "b"]


def test_the_file_is_written_anew_when_most_of_it_is_over(tmp_path: Path) -> None:
    many = MAX_STANDING // 10 + 10
    lines = b"".join(b'{"issuer":"partners","jti":"x","subject":null,"at":1,"until":2}\n' for _ in range(many))
    (tmp_path / FILE).write_bytes(lines)
    first = opened(tmp_path)
    assert (tmp_path / FILE).read_bytes() == b""
    assert add(first, order("a")) == [True]
    assert [one.jti for one in opened(tmp_path).standing()] == ["a"]


def test_without_a_file_they_count_until_the_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Revocations(CLOCK.time)
    assert add(nowhere, order("a")) == [False]
    assert nowhere.standing() == [order("a")]
    (tmp_path / "file").write_text("")
    refused = Revocations(CLOCK.time)
    with pytest.raises(NotADirectoryError, match=r"the `state` folder cannot be used: Not a directory"):
        refused.open(tmp_path / "file")
    assert add(refused, order("b")) == [False]
    assert refused.standing() == [order("b")]
    assert "could not be written down" in caplog.text
