"""Places in a store that several processes share, as atomic operations. Knows no caller and no queue.

Of each caller the store knows how many places every process holds, and until when that is to be believed: what a process
that died held is free when its lease ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.api.ports import Table

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Hold:
    """One more place for `process`: whether it has it. `held` is what it had before, in case that the store lost it."""

    key: str
    process: str
    held: int
    most: int
    lease_s: float

    name = "places.hold"
    lua = (_HERE / "hold.lua").read_text("ascii")

    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def arguments(self) -> tuple[bytes | int | float, ...]:
        return (self.process.encode("ascii"), self.held, self.most, self.lease_s)

    def apply(self, table: Table, now: float) -> bool:
        places = _read(table, self.key, now)
        mine = places.pop(self.process, (self.held, 0.0))[0]
        given = sum(count for count, _ in places.values()) + mine < self.most
        if mine + given:
            places[self.process] = (mine + given, now + self.lease_s)
        _write(table, self.key, places)
        return given

    def parse(self, reply: Any) -> bool:
        return int(reply) == 1


@dataclass(frozen=True, slots=True)
class Leave:
    """`process` gives places back."""

    key: str
    process: str
    places: int

    name = "places.leave"
    lua = (_HERE / "leave.lua").read_text("ascii")

    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def arguments(self) -> tuple[bytes | int | float, ...]:
        return (self.process.encode("ascii"), self.places)

    def apply(self, table: Table, now: float) -> None:
        places = _read(table, self.key, now)
        count, ends = places.pop(self.process, (0, 0.0))
        if count > self.places:
            places[self.process] = (count - self.places, ends)
        _write(table, self.key, places)

    def parse(self, reply: Any) -> None:
        int(reply)


@dataclass(frozen=True, slots=True)
class Say:
    """`process` holds so many places now (-1: it only asks). How many are held by all."""

    key: str
    process: str
    held: int
    lease_s: float

    name = "places.say"
    lua = (_HERE / "say.lua").read_text("ascii")

    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def arguments(self) -> tuple[bytes | int | float, ...]:
        return (self.process.encode("ascii"), self.held, self.lease_s)

    def apply(self, table: Table, now: float) -> int:
        places = _read(table, self.key, now)
        if self.held > 0:
            places[self.process] = (self.held, now + self.lease_s)
        elif self.held == 0:
            places.pop(self.process, None)
        _write(table, self.key, places)
        return sum(count for count, _ in places.values())

    def parse(self, reply: Any) -> int:
        return int(reply)


_Places = dict[str, tuple[int, float]]


def _read(table: Table, key: str, now: float) -> _Places:
    """Places by process, with the end of its lease. Kept as text, which every store can keep."""
    found = {}
    for entry in (table.get(key) or "").split(";"):
        process, _, rest = entry.partition(" ")
        if rest:
            count, _, ends = rest.partition(" ")
            if float(ends) > now:
                found[process] = int(count), float(ends)
    return found


def _write(table: Table, key: str, places: _Places) -> None:
    if places:
        text = ";".join(f"{process} {count} {ends!r}" for process, (count, ends) in places.items())
        table.set(key, text, max(ends for _, ends in places.values()))
    else:
        table.delete(key)
