"""What may become of a key, as a table; and the record that is kept of it. Knows no store, HTTP, clock or policy.

Times are seconds of the store's clock. Every change but a claim and those of operators is the owner's: it carries the
token that the claim was made with, and does nothing once somebody else owns the record (fencing).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class State(Enum):
    FREE = "free"  # nothing is kept: the next call of this key is executed
    CLAIMED = "claimed"  # somebody's, and nothing was sent: it waits for a place or a connection
    SENDING = "sending"  # durable before the first byte leaves
    FINAL = "final"  # the answer is kept, and given to whoever asks again
    UNKNOWN = "unknown"  # it may have been executed; nobody can say


class Event(Enum):
    CLAIM = "claim"  # a call is to be sent
    SEND = "send"  # its first byte is about to leave; in one step with the claim where nothing is to be waited for
    EXTEND = "extend"  # its owner is alive: the lease begins anew
    COMPLETE = "complete"  # its owner has a final answer
    LOSE = "lose"  # its owner cannot tell whether it was executed
    RELEASE = "release"  # its owner knows that it was not executed, or that it may be again
    EXPIRE = "expire"  # the lease ended: its owner died
    RETRY = "retry"  # on_unknown: retry; another call takes it over
    SETTLE = "settle"  # an operator writes down how it ended
    DISCARD = "discard"  # an operator frees it
    END = "end"  # ttl is over


TABLE: dict[tuple[State, Event], State] = {
    (State.FREE, Event.CLAIM): State.CLAIMED,
    (State.CLAIMED, Event.EXTEND): State.CLAIMED,
    (State.CLAIMED, Event.SEND): State.SENDING,
    (State.CLAIMED, Event.RELEASE): State.FREE,
    (State.CLAIMED, Event.EXPIRE): State.FREE,
    (State.SENDING, Event.EXTEND): State.SENDING,
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


def steps(event: Event) -> dict[State, State]:
    """What `event` makes of each state that knows it."""
    return {before: after for (before, each), after in TABLE.items() if each is event}


def diagram() -> str:
    """The table as a Mermaid diagram; README.md holds it, and a test compares them."""
    lines = ["stateDiagram-v2", "    [*] --> free"]
    lines += [f"    {before.value} --> {after.value}: {event.value}" for (before, event), after in TABLE.items()]
    return "\n".join(lines)


@dataclass(slots=True)  # frozen ones take 1 µs more to make
class Record:
    """What is kept of a key. `selector` says what `fingerprint` was made of: later calls are compared by it.

    `sendings` counts the calls that may have been sent: above one, that the last was not executed frees nothing.
    `answer` is kept as it is given: octets, maybe encrypted. Never changed.
    """

    state: State
    owner: str
    lease_until: float
    expires: float
    sendings: int
    fingerprint: str
    selector: str
    answer: bytes = b""

    def at(self, now: float) -> Record | None:
        """The record as time has made it; None when it is free."""
        if self.lease_until > now or (self.state is not State.CLAIMED and self.state is not State.SENDING):
            return self
        after = TABLE[self.state, Event.EXPIRE]
        return None if after is State.FREE else replace(self, state=after)

    @property
    def ends(self) -> float:
        """When nothing is left of it, whatever happens until then."""
        return self.lease_until if self.state is State.CLAIMED else self.expires

    def encode(self) -> bytes:
        """A line of words, which Lua reads as well, and the answer behind it. Times are whole milliseconds."""
        line = (
            f"{self.state.value} {self.owner or '-'} {self.lease_until * 1000:.0f} {self.expires * 1000:.0f} "
            f"{self.sendings} {self.fingerprint} {self.selector}\n"
        )
        return line.encode("ascii") + self.answer

    @classmethod
    def decode(cls, kept: bytes) -> Record:
        line, _, answer = kept.partition(b"\n")
        state, owner, lease, expires, sendings, fingerprint, selector = line.decode("ascii").split(" ")
        return cls(
            State(state),
            "" if owner == "-" else owner,
            int(lease) / 1000,
            int(expires) / 1000,
            int(sendings),
            fingerprint,
            selector,
            answer,
        )


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
