"""The transitions of a record as atomic operations on a store. Each does one step of core.py's table, or nothing.

Records are octets, so that the same operations run in memory and in SQLite. There are no Lua bodies: records are not
kept in Redis in this version, and the configuration check says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from gateway.api.ports import Table
from policies.idempotency.core import Answer, Event, Record, State

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _On(Generic[T]):
    """An operation on the record of `key`."""

    key: str

    name = "idempotency"
    lua = ""

    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def arguments(self) -> tuple[bytes | int | float, ...]:
        return ()

    def parse(self, reply: Any) -> T:
        value: T = reply
        return value


def _find(table: Table, key: str, now: float) -> Record | None:
    kept = table.get(key)
    return None if kept is None else Record.decode(kept).at(now)


def _keep(table: Table, key: str, record: Record) -> None:
    table.set(key, record.encode(), record.expires)


@dataclass(frozen=True, slots=True)
class Claim(_On["Record | None"]):
    """Own the key, if it is free: None. Else the present record. `retry` takes over an unknown one of the same request."""

    owner: str
    fingerprint: str
    selector: str
    lease_s: float
    ttl_s: float
    retry: bool = False

    def apply(self, table: Table, now: float) -> Record | None:
        found = _find(table, self.key, now)
        if found is not None:
            same = (found.selector, found.fingerprint) == (self.selector, self.fingerprint)
            if not (self.retry and same and found.allows(Event.RETRY)):
                return found
            taken = replace(found.after(Event.RETRY), owner=self.owner, lease_until=now + self.lease_s)
            taken = replace(taken, expires=max(taken.expires, taken.lease_until))
        else:
            ends = now + self.lease_s, now + max(self.ttl_s, self.lease_s)
            taken = Record(State.SENDING, self.owner, self.fingerprint, self.selector, *ends)
        _keep(table, self.key, taken)
        return None


@dataclass(frozen=True, slots=True)
class Complete(_On[bool]):
    """Keep the answer. False: the record is somebody else's by now, or gone. May be repeated."""

    owner: str
    answer: Answer

    def apply(self, table: Table, now: float) -> bool:
        found = _find(table, self.key, now)
        if found is None or found.owner != self.owner:
            return False
        if not found.allows(Event.COMPLETE):
            return found.answer == self.answer
        _keep(table, self.key, replace(found.after(Event.COMPLETE), answer=self.answer))
        return True


@dataclass(frozen=True, slots=True)
class Lose(_On[bool]):
    """Nobody knows how it ended. False as in Complete. May be repeated."""

    owner: str

    def apply(self, table: Table, now: float) -> bool:
        found = _find(table, self.key, now)
        if found is None or found.owner != self.owner:
            return False
        if found.allows(Event.LOSE):
            _keep(table, self.key, found.after(Event.LOSE))
        return True


@dataclass(frozen=True, slots=True)
class Release(_On[bool]):
    """Free the key: nothing was executed. False as in Complete. May be repeated."""

    owner: str

    def apply(self, table: Table, now: float) -> bool:
        found = _find(table, self.key, now)
        if found is None or found.owner != self.owner or not found.allows(Event.RELEASE):
            return False
        table.delete(self.key)
        return True


@dataclass(frozen=True, slots=True)
class Show(_On["Record | None"]):
    """The record, as it is now."""

    def apply(self, table: Table, now: float) -> Record | None:
        return _find(table, self.key, now)


@dataclass(frozen=True, slots=True)
class Settle(_On["State | None"]):
    """An operator writes down how an unknown call ended. The state it was in; only `unknown` was settled. None: no record."""

    answer: Answer

    def apply(self, table: Table, now: float) -> State | None:
        found = _find(table, self.key, now)
        if found is not None and found.allows(Event.SETTLE):
            _keep(table, self.key, replace(found.after(Event.SETTLE), owner="", answer=self.answer))
        return None if found is None else found.state


@dataclass(frozen=True, slots=True)
class Discard(_On["State | None"]):
    """An operator frees the key. The state it was in; a call under way is not freed. None: no record."""

    def apply(self, table: Table, now: float) -> State | None:
        found = _find(table, self.key, now)
        if found is not None and found.allows(Event.DISCARD):
            table.delete(self.key)
        return None if found is None else found.state
