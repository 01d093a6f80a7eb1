"""The owner of a key while its call runs: marks it as sending, extends its lease, writes down how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from gateway.api.errors import Cause, StoreError, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.ports import Clock, Operation, Store, Tally
from policies.idempotency.kept import Answer, Keyring
from policies.idempotency.lasting import Afterwards, Leases
from policies.idempotency.operations import Changed, Claim, Complete, Extend, Lose, Release, Send

DECISIONS = (
    *("claimed", "sending", "final", "released", "unknown", "replayed", "in-flight", "other-request", "too-large"),
    *("outcome-unknown", "outcome-lost", "unreadable", "key-missing", "key-malformed", "store-unavailable", "too-late"),
    "fenced",
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the owners of one route's keys share."""

    store: Store
    clock: Clock
    keyring: Keyring
    lease_s: float
    ttl_s: float
    leases: Leases
    afterwards: Afterwards
    tallies: dict[str, Tally]
    allows: bool  # calls pass when the store is away

    def count(self, decision: str) -> None:
        self.tallies[decision].value += 1


class NotSentError(UpstreamError):
    """The owner may not send: it cannot say so in the store, or is not the owner any more. `code` is for the caller."""

    def __init__(self, code: str) -> None:
        super().__init__(Cause.OVERLOAD, "queue", sent=False, detail=code)
        self.code = code


class Owner:
    """Whoever made `claim`. `lease_end` is by its own monotonic clock, and never later than the store's."""

    __slots__ = ("_claim", "_exchange", "_ledger", "_sending", "lease_end")

    def __init__(self, ledger: Ledger, claim: Claim, claimed_at: float, exchange: Exchange) -> None:
        """`claimed_at`: before the store was asked."""
        self.lease_end = claimed_at + claim.lease_s
        self._ledger = ledger
        self._claim = claim
        self._exchange = exchange
        self._sending = claim.at_once

    def begin(self) -> bool:
        """Whether the call may go on its way; False: its deadline is over, or its lease too short."""
        if not self.in_time:
            return False
        if self._sending:
            self._ledger.count("sending")
        return True

    @property
    def may_have_sent(self) -> bool:
        """Whether a byte may have left: never before that was announced."""
        return self._sending and self._exchange.sent

    @property
    def in_time(self) -> bool:
        """Whether the call may begin: a process that was stopped must not send what another may have taken over."""
        deadline = self._exchange.deadline
        return self._ledger.clock.monotonic() < deadline < self.lease_end

    async def before_send(self) -> None:
        """Durable before the first byte leaves. Raises NotSentError."""
        if self._sending:
            return
        ledger, claim = self._ledger, self._claim
        asked_at = ledger.clock.monotonic()
        try:
            changed = await ledger.store.run(Send(claim.key, claim.owner, claim.lease_s))
        except StoreError:
            if not ledger.allows:
                raise NotSentError("store-unavailable") from None
        else:
            if not changed.done:
                raise NotSentError("too-late")
            self.lease_end = asked_at + claim.lease_s
        self._sending = True
        ledger.count("sending")
        if not self.in_time:
            raise NotSentError("too-late")

    async def extend(self) -> None:
        ledger, claim = self._ledger, self._claim
        asked_at = ledger.clock.monotonic()
        try:
            changed = await ledger.store.run(Extend(claim.key, claim.owner, claim.lease_s))
        except StoreError:
            return  # the next look tries again
        if changed.done:
            self.lease_end = asked_at + claim.lease_s

    def complete(self, answer: Answer) -> Awaitable[None]:
        """When the store does not do it now it is tried again until the lease ends; then it is lost, and counted."""
        claim = self._claim
        change = Complete(claim.key, claim.owner, answer=self._ledger.keyring.keep(answer, claim.key))
        return self._change(change, self.lease_end, "final")

    def release(self) -> Awaitable[None]:
        return self._change(self._release(), self._release_until, "released")

    def lose(self) -> Awaitable[None]:
        return self._change(Lose(self._claim.key, self._claim.owner), self.lease_end, "unknown")

    def leave(self) -> None:
        """The call was broken off, and nothing can be waited for."""
        ledger, claim = self._ledger, self._claim
        if self.may_have_sent:
            ledger.afterwards.try_again(ledger.store, Lose(claim.key, claim.owner), self.lease_end)
        else:
            self.withdraw()

    def withdraw(self) -> None:
        """Give the key back as soon as the store answers: nothing was sent."""
        ledger = self._ledger
        ledger.afterwards.try_again(ledger.store, self._release(), self._release_until)

    def _release(self) -> Release:
        return Release(self._claim.key, self._claim.owner)

    @property
    def _release_until(self) -> float:
        return self._ledger.clock.monotonic() + self._ledger.ttl_s

    async def _change(self, operation: Operation[Changed], until: float, decision: str) -> None:
        ledger = self._ledger
        try:
            if not (await ledger.store.run(operation)).done:
                ledger.count("fenced")
        except (StoreError, asyncio.CancelledError) as problem:
            lost = ledger.tallies["outcome-lost"] if isinstance(operation, Complete) else None
            ledger.afterwards.try_again(ledger.store, operation, until, lost)
            if not isinstance(problem, StoreError):
                raise
        ledger.count(decision)
