"""What is done to a record, as atomic operations on a store. Each does steps of core.py's table, or nothing.

Records are octets, so that the same operations run in memory, in SQLite and in Redis, where a Lua body does what `apply` does
elsewhere; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from gateway.api.ports import Table
from policies.idempotency.core import TABLE, Event, Record, State, steps

T = TypeVar("T")

Arguments = tuple[bytes | int | float, ...]


def _lua(name: str) -> str:
    """A body, behind what all of them begin with."""
    here = files("policies.idempotency")
    return here.joinpath("record.lua").read_text() + here.joinpath(name).read_text()


@dataclass(slots=True)  # frozen ones take 1 µs more to make
class _On(Generic[T]):
    """An operation on the record of `key`. Never changed."""

    key: str

    name = ""
    lua = ""

    def keys(self) -> tuple[str, ...]:
        return (self.key,)


def _find(table: Table, key: str, now: float) -> Record | None:
    kept = table.get(key)
    return None if kept is None else Record.decode(kept).at(now)


def _at(now: float, seconds: float) -> float:
    """A point of time as a record can keep it: in whole milliseconds, as record.lua has it."""
    return (int(now * 1000) + int(seconds * 1000)) / 1000


def _record(reply: bytes | None) -> Record | None:
    return None if reply is None else Record.decode(reply)


@dataclass(slots=True)
class Claim(_On["Record | None"]):
    """Own the key, if it is free: None. Else the present record.

    `at_once`: it is sent now, and so claimed and sending in one step. `retry` takes over an unknown one of the same request.
    """

    owner: str
    fingerprint: str
    selector: str
    lease_s: float
    ttl_s: float
    at_once: bool = True
    retry: bool = False

    name = "idempotency.claim"
    lua = _lua("claim.lua")

    def arguments(self) -> Arguments:
        return (
            self.owner.encode(),
            self.fingerprint.encode(),
            self.selector.encode(),
            int(self.lease_s * 1000),
            int(self.ttl_s * 1000),
            int(self.at_once),
            int(self.retry),
        )

    def apply(self, table: Table, now: float) -> Record | None:
        found = _find(table, self.key, now)
        lease_until = _at(now, self.lease_s)
        if found is None:
            state = TABLE[State.FREE, Event.CLAIM]
            if self.at_once:
                state = TABLE[state, Event.SEND]
            expires = _at(now, max(self.ttl_s, self.lease_s))
            taken = Record(state, self.owner, lease_until, expires, 1, self.fingerprint, self.selector)
        else:
            same = found.selector == self.selector and found.fingerprint == self.fingerprint
            after = TABLE.get((found.state, Event.RETRY))
            if after is None or not (self.retry and same):
                return found
            taken = replace(
                found,
                state=after,
                owner=self.owner,
                lease_until=lease_until,
                expires=max(found.expires, lease_until),
                sendings=found.sendings + 1,
            )
        table.set(self.key, taken.encode(), taken.ends)
        return None

    def parse(self, reply: Any) -> Record | None:
        return _record(reply)


_STATES = {state.value.encode(): state for state in State}


class Changed(NamedTuple):
    """What a change met, and whether it was made, now or before."""

    state: State
    done: bool


def _written(known: dict[State, State]) -> bytes:
    """The steps of an event, as change.lua reads them: `claimed>sending `."""
    return b"".join(f"{before.value}>{after.value} ".encode() for before, after in known.items())


@dataclass(slots=True)
class _Change(_On[Changed]):
    """One event. `owner` None: an operator's. Its owner may repeat it: what it led to is not changed again."""

    owner: str | None
    lease_s: float = 0.0  # from now; 0: as it was
    answer: bytes = b""

    event: ClassVar[Event]
    repeated: ClassVar[Event | None] = None  # instead of `event`, where an earlier call may have been executed
    steps: ClassVar[tuple[dict[State, State], dict[State, State]]]  # of the first call, and of later ones
    written: ClassVar[tuple[bytes, bytes]]

    def __init_subclass__(cls) -> None:
        cls.steps = steps(cls.event), steps(cls.repeated or cls.event)
        first, later = cls.steps
        cls.written = _written(first), _written(later)

    name = "idempotency.change"
    lua = _lua("change.lua")

    def arguments(self) -> Arguments:
        return (
            b"" if self.owner is None else self.owner.encode(),
            *self.written,
            int(self.lease_s * 1000),
            self.answer,
        )

    def apply(self, table: Table, now: float) -> Changed:
        found = _find(table, self.key, now)
        if found is None:
            return Changed(State.FREE, False)
        if self.owner is not None and found.owner != self.owner:
            return Changed(found.state, False)
        known = self.steps[found.sendings > 1]
        after = known.get(found.state)
        if after is None:
            made = self.owner is not None and found.state in known.values() and found.answer == self.answer
            return Changed(found.state, made)
        if after is State.FREE:
            table.delete(self.key)
        else:
            lease_until = _at(now, self.lease_s) if self.lease_s else found.lease_until
            owner = found.owner if self.owner is not None else ""
            expires = max(found.expires, lease_until)
            call = found.sendings, found.fingerprint, found.selector
            changed = Record(after, owner, lease_until, expires, *call, self.answer)
            table.set(self.key, changed.encode(), changed.ends)
        return Changed(found.state, True)

    def parse(self, reply: Any) -> Changed:
        state, done = reply
        return Changed(_STATES[state], bool(done))


class Send(_Change):
    """The first byte is about to leave."""

    event = Event.SEND


class Extend(_Change):
    """The owner is alive: its lease begins anew."""

    event = Event.EXTEND


class Complete(_Change):
    """Keep the answer."""

    event = Event.COMPLETE


class Lose(_Change):
    """Nobody knows how it ended."""

    event = Event.LOSE


class Release(_Change):
    """Free the key: nothing was executed. After an earlier call of which nobody knows that, it is unknown again."""

    event = Event.RELEASE
    repeated = Event.LOSE


class Settle(_Change):
    """An operator writes down how an unknown call ended."""

    event = Event.SETTLE


class Discard(_Change):
    """An operator frees the key; not that of a call under way."""

    event = Event.DISCARD


@dataclass(slots=True)
class Show(_On["Record | None"]):
    """The record, as it is now."""

    name = "idempotency.show"
    lua = _lua("show.lua")

    def arguments(self) -> Arguments:
        return ()

    def apply(self, table: Table, now: float) -> Record | None:
        return _find(table, self.key, now)

    def parse(self, reply: Any) -> Record | None:
        return _record(reply)
