"""What may become of a key, as a table; and the record that is kept of it. Knows no store, HTTP, clock or policy.

Times are seconds of the store's clock. Every change but a claim and those of operators is the owner's: it carries the
token that the claim was made with, and does nothing once somebody else owns the record (fencing).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import orjson


class State(Enum):
    FREE = "free"  # nothing is kept: the next call of this key is executed
    SENDING = "sending"  # durable before the first byte leaves
    FINAL = "final"  # the answer is kept, and given to whoever asks again
    UNKNOWN = "unknown"  # it may have been executed; nobody can say


class Event(Enum):
    CLAIM = "claim"  # a call is about to be sent
    COMPLETE = "complete"  # its owner has a final answer
    LOSE = "lose"  # its owner cannot tell whether it was executed
    RELEASE = "release"  # its owner knows that it was not executed, or that it may be again
    EXPIRE = "expire"  # the lease ended: its owner died
    RETRY = "retry"  # on_unknown: retry; another call takes it over
    SETTLE = "settle"  # an operator writes down how it ended
    DISCARD = "discard"  # an operator frees it
    END = "end"  # ttl is over


TABLE: dict[tuple[State, Event], State] = {
    (State.FREE, Event.CLAIM): State.SENDING,
    (State.SENDING, Event.COMPLETE): State.FINAL,
    (State.SENDING, Event.LOSE): State.UNKNOWN,
    (State.SENDING, Event.RELEASE): State.FREE,
    (State.SENDING, Event.EXPIRE): State.UNKNOWN,
    (State.UNKNOWN, Event.COMPLETE): State.FINAL,  # an owner that was held up still tells the truth
    (State.UNKNOWN, Event.RELEASE): State.FREE,
    (State.UNKNOWN, Event.RETRY): State.SENDING,
    (State.UNKNOWN, Event.SETTLE): State.FINAL,
    (State.UNKNOWN, Event.DISCARD): State.FREE,
    (State.FINAL, Event.DISCARD): State.FREE,
    (State.FINAL, Event.END): State.FREE,
    (State.UNKNOWN, Event.END): State.FREE,
}
"""Whatever is not in it does not happen."""


def diagram() -> str:
    """The table as a Mermaid diagram; README.md holds it, and a test compares them."""
    lines = ["stateDiagram-v2", "    [*] --> free"]
    lines += [f"    {before.value} --> {after.value}: {event.value}" for (before, event), after in TABLE.items()]
    return "\n".join(lines)


Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is given to whoever asks again. `too_large`: it was executed, and its answer was not kept."""

    status: int
    headers: Fields
    body: bytes
    too_large: bool = False
    settled_by: str = ""  # the operator who wrote it down, with the reason


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a key. `selector` says what `fingerprint` was made of: later calls are compared by it."""

    state: State
    owner: str
    fingerprint: str
    selector: str
    lease_until: float
    expires: float
    answer: Answer | None = None

    def at(self, now: float) -> Record:
        """The record as time has made it."""
        if self.state is State.SENDING and self.lease_until <= now:
            return self.after(Event.EXPIRE)
        return self

    def after(self, event: Event) -> Record:
        """The record after an event that the table allows; KeyError otherwise."""
        return replace(self, state=TABLE[self.state, event])

    def allows(self, event: Event) -> bool:
        return (self.state, event) in TABLE

    def encode(self) -> bytes:
        """One line of JSON, and the answer's body as it is behind it."""
        answer = self.answer
        line: list[object] = [
            self.state.value,
            self.owner,
            self.fingerprint,
            self.selector,
            self.lease_until,
            self.expires,
        ]
        if answer is None:
            return orjson.dumps(line)
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        line += [answer.status, fields, answer.too_large, answer.settled_by]
        return orjson.dumps(line) + b"\n" + answer.body

    @classmethod
    def decode(cls, kept: bytes) -> Record:
        line, found, body = kept.partition(b"\n")
        state, owner, fingerprint, selector, lease_until, expires, *rest = orjson.loads(line)
        answer = None
        if found:
            status, fields, too_large, settled_by = rest
            headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields)
            answer = Answer(status, headers, body, too_large, settled_by)
        return cls(State(state), owner, fingerprint, selector, lease_until, expires, answer)


class Verdict(Enum):
    """What an upstream's status says of the call."""

    FINAL = "final"
    RELEASED = "released"
    UNKNOWN = "unknown"


_RELEASED = frozenset((408, 425, 429))
_FINAL_FAILURES = frozenset((500, 501, 505))


def verdict_of(status: int, final: frozenset[int], release: frozenset[int], *, authenticates: bool = False) -> Verdict:
    """What a status means: what the configuration says of it, or the default.

    `authenticates`: the gateway logs in at the upstream by itself, so that 401 and 407 say nothing about the caller.
    """
    if status in final:
        return Verdict.FINAL
    if status in release or status in _RELEASED or (authenticates and status in (401, 407)):
        return Verdict.RELEASED
    if status < 500 or status in _FINAL_FAILURES:
        return Verdict.FINAL
    return Verdict.UNKNOWN
