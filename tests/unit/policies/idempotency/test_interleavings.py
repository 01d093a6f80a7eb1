"""Any number of callers, crashes, ends of leases, lost replies, store errors and pauses, in any order: executed once.

The machine drives the very operations of the policy, and steps each caller as IdempotencyLayer and Owner do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gateway.stores.memory import MemoryStore
from gateway.testing.clock import FakeClock
from policies.idempotency.core import TABLE, Event, Record, State
from policies.idempotency.operations import Claim, Complete, Extend, Lose, Release, Send, Show

KEYS = ("a", "b")
LEASE_S, DEADLINE_S, TTL_S = 120.0, 30.0, 1e6

REPLIES = st.sampled_from(["comes", "comes", "comes", "is lost", "store is away"])


class Away(Exception):
    """The store did not do it, or nobody knows whether it did."""


@dataclass
class Caller:
    """A caller that claimed a key: what its process knows, by its own clock."""

    key: str
    token: str
    deadline: float
    lease_end: float
    sending: bool
    executed: bool = False
    answer: bytes = b""
    over: bool = field(default=False)


class Callers(RuleBasedStateMachine):
    callers = Bundle("callers")
    retries = False

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock.monotonic)
        self.executed = dict.fromkeys(KEYS, 0)
        self.first: dict[str, bytes] = {}
        self.seen = dict.fromkeys(KEYS, State.FREE)
        self.tokens = 0
        self.waiting = []  # changes that are tried again, as Afterwards does

    def run(self, operation, reply="comes"):
        if reply == "store is away":
            raise Away
        result = self.store.run_nowait(operation, "")
        if reply == "is lost":
            raise Away
        return result

    def change(self, operation, reply):
        try:
            return self.run(operation, reply).done
        except Away:
            self.waiting.append(operation)
            return False

    def settled(self, operation):
        if isinstance(operation, Complete) and self.run(Show(operation.key)).answer == operation.answer:
            assert self.first.setdefault(operation.key, operation.answer) == operation.answer

    @rule(target=callers, key=st.sampled_from(KEYS), reply=REPLIES, at_once=st.booleans())
    def call(self, key, reply, at_once):
        """A caller comes."""
        self.tokens += 1
        token, now = str(self.tokens), self.clock.monotonic()
        told = Caller(key, token, 0, 0, sending=False, over=True)
        try:
            found = self.run(Claim(key, token, "f", "body", LEASE_S, TTL_S, at_once, self.retries), reply)
        except Away:
            self.waiting.append(Release(key, token))
            return told  # 503; sends nothing
        if found is not None:
            if found.answer:
                assert found.answer == self.first.setdefault(key, found.answer), "every replay is the first answer"
            return told
        return Caller(key, token, now + DEADLINE_S, now + LEASE_S, sending=at_once)

    @rule(caller=callers, reply=REPLIES)
    def send(self, caller, reply):
        if caller.over or caller.executed:
            return
        if not caller.sending:
            asked_at = self.clock.monotonic()
            try:
                if not self.run(Send(caller.key, caller.token, LEASE_S), reply).done:
                    caller.over = True
                    return
            except Away:
                self.waiting.append(Release(caller.key, caller.token))
                caller.over = True
                return
            caller.sending, caller.lease_end = True, asked_at + LEASE_S
        if self.clock.monotonic() < caller.deadline < caller.lease_end:
            caller.executed = True
            self.executed[caller.key] += 1
            caller.answer = b"%d" % self.executed[caller.key]

    @rule(caller=callers, reply=REPLIES)
    def extend(self, caller, reply):
        now = self.clock.monotonic()
        if caller.over:
            return
        try:
            if self.run(Extend(caller.key, caller.token, LEASE_S), reply).done:
                caller.lease_end = now + LEASE_S
        except Away:
            pass

    @rule(caller=consumes(callers), reply=REPLIES)
    def answered(self, caller, reply):
        """Its answer came."""
        if caller.executed:
            operation = Complete(caller.key, caller.token, answer=caller.answer)
            if self.change(operation, reply):
                self.settled(operation)

    @rule(caller=consumes(callers), reply=REPLIES)
    def broke(self, caller, reply):
        if not caller.over:
            self.change((Lose if caller.executed else Release)(caller.key, caller.token), reply)

    @rule(caller=consumes(callers))
    def crashed(self, caller):
        """Its process died, before or after the first byte: nothing more is heard of it."""

    @rule(reply=REPLIES)
    def tried_again(self, reply):
        if self.waiting:
            operation = self.waiting.pop(0)
            if self.change(operation, reply):
                self.settled(operation)

    @rule()
    def gateway_crashed(self):
        """What waited is lost with the process."""
        self.waiting.clear()

    @rule(seconds=st.sampled_from([0.5, 20.0, 31.0, 60.0, 121.0]))
    def time_passes(self, seconds):
        """Processes are slow, or stopped (SIGSTOP) and go on."""
        self.clock.advance(seconds)

    @invariant()
    def executed_at_most_once(self):
        assert self.retries or all(count <= 1 for count in self.executed.values())

    @invariant()
    def what_was_executed_is_not_free_again(self):
        for key, count in self.executed.items():
            assert not count or self.run(Show(key)) is not None

    @invariant()
    def no_transition_outside_the_table(self):
        for key in KEYS:
            record: Record | None = self.run(Show(key))
            now = State.FREE if record is None else record.state
            before, self.seen[key] = self.seen[key], now
            assert now is before or now in reachable(before)

    @invariant()
    def a_completed_key_stays_so(self):
        for key, answer in self.first.items():
            assert self.run(Show(key)).answer == answer


NEVER = (Event.DISCARD, Event.SETTLE, Event.END)  # no operator is here, and ttl is long


def reachable(state: State) -> set[State]:
    """Where one rule may lead: it may make several steps of the table (claimed and sending; a lease that ends)."""
    found, new = set(), {state}
    while new:
        found |= new
        steps = (after for (before, event), after in TABLE.items() if before in new and event not in NEVER)
        new = set(steps) - found
    return found


class RetryingCallers(Callers):
    """`on_unknown: retry`: the upstream deduplicates; owners never undo each other, and nothing becomes free that was sent."""

    retries = True


@pytest.mark.parametrize("machine", [Callers, RetryingCallers], ids=["hold", "retry"])
def test_interleavings(machine):
    case = machine.TestCase
    case.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
    case().runTest()
