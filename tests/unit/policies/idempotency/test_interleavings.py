"""Any number of callers, crashes, ends of leases, lost replies, store errors and pauses, in any order: executed once.

The machine drives the very operations of the policy, and steps each caller as `IdempotencyLayer` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gateway.stores.memory import MemoryStore
from gateway.testing.clock import FakeClock
from policies.idempotency.core import TABLE, Answer, Event, Record, State
from policies.idempotency.operations import Claim, Complete, Lose, Release, Show

KEYS = ("a", "b")
LEASE_S, DEADLINE_S, TTL_S = 120.0, 30.0, 1e6


@dataclass
class Owner:
    """A caller that owns a key: what its process knows by its own clock."""

    key: str
    token: str
    deadline: float
    lease_end: float
    executed: bool = False
    answer: Answer | None = None


class Callers(RuleBasedStateMachine):
    owners = Bundle("owners")
    retries = False

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock.monotonic)
        self.executed = dict.fromkeys(KEYS, 0)
        self.first: dict[str, Answer] = {}
        self.seen = dict.fromkeys(KEYS, State.FREE)
        self.tokens = 0

    def run(self, operation):
        return self.store.run_nowait(operation, "")

    @rule(target=owners, key=st.sampled_from(KEYS), lost=st.booleans())
    def call(self, key, lost):
        """A caller comes. `lost`: the store does what it is asked and its reply is lost; the claim is taken back later."""
        self.tokens += 1
        token, now = str(self.tokens), self.clock.monotonic()
        found = self.run(Claim(key, token, "f", "body", LEASE_S, TTL_S, self.retries))
        if lost:
            if found is None:
                self.run(Release(key, token))
            return Owner(key, token, 0, 0)  # told 503; sends nothing
        if found is not None:
            if found.answer is not None:
                assert found.answer == self.first[key], "every replay is the first answer"
            return Owner(key, token, 0, 0)
        return Owner(key, token, now + DEADLINE_S, now + LEASE_S)

    @rule(owner=owners)
    def send(self, owner):
        now = self.clock.monotonic()
        if now < owner.deadline < owner.lease_end and not owner.executed:
            owner.executed = True
            self.executed[owner.key] += 1
            owner.answer = Answer(200, (), b"%d" % self.executed[owner.key])

    @rule(owner=consumes(owners), reply_lost=st.booleans())
    def answered(self, owner, reply_lost):
        """Its answer came; a reply of the store that is lost makes it write again."""
        if not owner.executed or owner.answer is None:
            return
        for _ in range(1 + reply_lost):
            if self.run(Complete(owner.key, owner.token, owner.answer)):
                assert self.first.setdefault(owner.key, owner.answer) == owner.answer

    @rule(owner=consumes(owners))
    def broke(self, owner):
        if owner.deadline:
            self.run(Lose(owner.key, owner.token) if owner.executed else Release(owner.key, owner.token))

    @rule(owner=consumes(owners))
    def crashed(self, owner):
        """Its process died, before or after the first byte: nothing more is heard of it."""

    @rule(seconds=st.sampled_from([0.5, 20.0, 31.0, 60.0, 121.0]))
    def time_passes(self, seconds):
        """Processes are slow, or stopped (SIGSTOP) and go on."""
        self.clock.advance(seconds)

    @invariant()
    def executed_at_most_once(self):
        assert all(count <= 1 for count in self.executed.values())

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
    """Where one rule may lead: it may make several steps of the table (a claim that is taken back, a lease that ends)."""
    found, new = set(), {state}
    while new:
        found |= new
        steps = (after for (before, event), after in TABLE.items() if before in new and event not in NEVER)
        new = set(steps) - found
    return found


class RetryingCallers(Callers):
    """`on_unknown: retry`: the upstream deduplicates, so what counts is that owners never undo each other."""

    retries = True

    @invariant()
    def executed_at_most_once(self):
        """Not promised here: the upstream sees to it."""


@pytest.mark.parametrize("machine", [Callers, RetryingCallers])
def test_interleavings(machine):
    case = machine.TestCase
    case.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
    case().runTest()
