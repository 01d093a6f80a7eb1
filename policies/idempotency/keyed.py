"""What the policy and its shadow have in common: all that is decided when the configuration is compiled, and a call's claim."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

from gateway.api.callers import key_of as caller_key
from gateway.api.callers import value_of
from gateway.api.exchange import Exchange
from gateway.api.messages import Request
from gateway.api.policy import Layer
from gateway.api.ports import Scope
from policies.idempotency.config import IdempotencyConfig, statuses
from policies.idempotency.core import State, Verdict, verdict_of
from policies.idempotency.lasting import Afterwards, Leases
from policies.idempotency.operations import Claim
from policies.idempotency.owner import DECISIONS, Ledger
from policies.idempotency.request import MissingKey, fingerprint, key_of, record_key

BEYOND_DEADLINE_S = 1.0  # a lease is longer than the deadline by this at least
UNDER_WAY = (State.CLAIMED, State.SENDING)


class KeyedLayer(Layer):
    """What is decided when the configuration is compiled."""

    def __init__(self, config: IdempotencyConfig, scope: Scope) -> None:
        namespace = config.namespace or scope.route
        store = scope.lasting_store(config.store)
        now = scope.clock.monotonic
        leases_of = ("leases", config.store, config.lease)
        self._ledger = Ledger(
            store.within("shadow", namespace) if scope.shadow else store.within(namespace),
            scope.clock,
            config.keyring(),
            config.lease,
            config.ttl,
            scope.state(leases_of, lambda: Leases(now, config.lease)),
            scope.state(("afterwards", config.store), lambda: Afterwards(now)),
            {decision: scope.tally(decision) for decision in DECISIONS},
            config.on_store_error == "allow",
        )
        self._now = now
        self._count = self._ledger.count
        self._methods = frozenset(config.methods)
        self._required = config.required
        self._header = config.header
        self._field = config.header.lower().encode("ascii")
        self._selector = config.selector
        self._max_response = config.max_response
        self._waits = config.in_flight == "wait"
        self._retries = config.on_unknown == "retry"
        self._final, self._released = statuses(config.final), statuses(config.release)
        self._authenticates = scope.calls is not None and scope.calls.auth is not None
        self._principal = _principal_of(config.scope)
        self._ready = scope.ready
        # tokens are told apart, not kept secret: drawing each anew takes 1 µs
        self._process, self._numbers = secrets.token_hex(8), itertools.count()

    def _key(self, request: Request) -> str | None:
        """The key of a call that is under this policy; None: it is not. Raises BadKey, MissingKey."""
        if request.method not in self._methods:
            return None
        key = key_of(request.headers.get_all(self._field))
        if key is None and self._required:
            raise MissingKey
        return key

    def _fingerprint(self, selector: str, exchange: Exchange, body: bytes) -> str | None:
        """None: the record was made under a key that is gone, and cannot be compared."""
        return fingerprint(selector, exchange.request, body, self._ledger.keyring.secrets)

    def _claim(
        self, exchange: Exchange, key: str, digest: str | None, selector: str, now: float, *, at_once: bool
    ) -> Claim:
        assert digest is not None, "claimed is what can be compared: by the keys that are there"
        ledger = self._ledger
        return Claim(
            record_key(self._principal(exchange), key),
            f"{self._process}-{next(self._numbers):x}",
            digest,
            selector,
            # an inherited policy may stand beside a longer deadline than the check has seen
            max(ledger.lease_s, exchange.deadline - now + BEYOND_DEADLINE_S),
            ledger.ttl_s,
            at_once,
            self._retries,
        )

    def _verdict(self, status: int) -> Verdict:
        return verdict_of(status, self._final, self._released, authenticates=self._authenticates)


def _principal_of(scope: str) -> Callable[[Exchange], str]:
    """Whose key it is. Nobody is authenticated on a public route: its callers share their keys, as a warning said."""
    if scope == "consumer":
        return lambda exchange: "route" if exchange.principal is None else exchange.principal.key
    if scope == "route":
        return lambda exchange: "route"
    value, key = value_of(scope), caller_key(scope)
    return lambda exchange: f"{scope}={key(value(exchange))}"
