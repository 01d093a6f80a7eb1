"""A caller is known by its key, and by nothing that merely looks like one."""

from __future__ import annotations

import hashlib
import json

import pytest

from gateway.api.consumers import Consumer, Limits, Rate
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.compile.plan import ConsumerPlan
from gateway.runtime.consumers import ConsumerTable
from gateway.testing.exchange import FakeScope, FakeSnapshot, make_exchange
from gateway.testing.tokens import identify_now
from policies.api_key import POLICY
from policies.api_key.explain import explain_key

OLD, NEW = "sgk_old_" + "a" * 43, "sgk_new_" + "b" * 43


def key_row(key: str, key_id: str, expires: float | None = None) -> tuple[bytes, str, float | None]:
    return hashlib.sha256(key.encode()).digest(), key_id, expires


class Desk:
    def __init__(self, **config: object) -> None:
        self.scope = FakeScope(policy="api_key")
        self.limits = Limits(rate=Rate(5, 1), burst=10)
        self.consumer = Consumer("acme", tier="free", limits=self.limits, ip_allow=("192.0.2.0/24",))
        ends = self.scope.clock.time() + 60
        self.table = ConsumerTable.of(
            {"acme": ConsumerPlan(self.consumer, (), (key_row(OLD, "old", ends), key_row(NEW, "new")), ())}
        )
        built = POLICY.build(POLICY.config(**config), self.scope)
        assert isinstance(built, Authenticator)
        self.authenticator = built

    def exchange(self, *keys: str, header: str = "X-API-Key", client: str = "192.0.2.1") -> Exchange:
        exchange = make_exchange(headers=[(header, key) for key in keys], client=client)
        exchange.snapshot = FakeSnapshot(consumers=self.table)
        return exchange

    def ask(self, *keys: str, header: str = "X-API-Key") -> Principal | Response:
        return identify_now(self.authenticator, self.exchange(*keys, header=header))


def refused(answer: Principal | Response) -> tuple[int, str]:
    assert isinstance(answer, Response)
    assert isinstance(answer.body, bytes)
    assert answer.headers.get(b"www-authenticate") == b'ApiKey realm="sluicegate"'
    return answer.status, json.loads(answer.body)["code"]


def test_both_keys_of_a_consumer_are_good_at_the_same_time() -> None:
    desk = Desk()
    for key in (OLD, NEW, OLD):
        principal = desk.ask(key)
        assert isinstance(principal, Principal)
        assert principal.key == "consumer:acme"
        assert principal.consumer is desk.consumer
        assert principal.tier == "free"
        assert principal.limits is desk.limits
    assert desk.scope.counts() == {"allow": 3}


def test_a_key_ends_on_time_and_the_other_goes_on() -> None:
    desk = Desk()
    desk.scope.clock.advance(59.9)  # type: ignore[attr-defined]  # the scope's clock is the fake one
    assert isinstance(desk.ask(OLD), Principal)
    desk.scope.clock.advance(0.1)  # type: ignore[attr-defined]
    assert refused(desk.ask(OLD)) == (401, "api_key.expired")
    assert isinstance(desk.ask(NEW), Principal)


@pytest.mark.parametrize(
    ("keys", "code", "noted"),
    [
        ((), "api_key.missing", []),
        (("",), "api_key.invalid", ["api_key.unknown"]),
        ((OLD[:-1],), "api_key.invalid", ["api_key.unknown"]),
        ((OLD + " ",), "api_key.invalid", ["api_key.unknown"]),
        ((hashlib.sha256(OLD.encode()).hexdigest(),), "api_key.invalid", ["api_key.unknown"]),
        (("x" * 513,), "api_key.invalid", ["api_key.too-long"]),
        (("\xff\x00",), "api_key.invalid", ["api_key.unknown"]),
        ((OLD, OLD), "api_key.repeated", []),
        ((OLD, "other"), "api_key.repeated", []),
    ],
)
def test_anything_else_is_refused_and_not_repeated(keys: tuple[str, ...], code: str, noted: list[str]) -> None:
    desk = Desk()
    exchange = desk.exchange(*keys)
    answer = identify_now(desk.authenticator, exchange)
    assert refused(answer) == (401, code)
    assert exchange.codes == [*noted, code]
    assert isinstance(answer, Response)
    assert all(key not in bytes(answer.body).decode() for key in keys if key)  # type: ignore[arg-type]
    assert desk.scope.counts() == {"refuse": 1}


def test_the_header_is_configurable_and_no_other_is_looked_at() -> None:
    desk = Desk(header="X-Partner-Key")
    assert isinstance(desk.ask(OLD, header="x-partner-key"), Principal)
    assert refused(desk.ask(OLD)) == (401, "api_key.missing")
    assert desk.authenticator.presented(desk.exchange(OLD, header="X-Partner-Key"))
    assert not desk.authenticator.presented(desk.exchange(OLD))


@pytest.mark.parametrize(("forward", "left"), [(False, None), (True, OLD.encode())])
def test_the_upstream_sees_the_key_only_when_told(forward: bool, left: bytes | None) -> None:
    desk = Desk(forward=forward)
    exchange = desk.exchange(OLD)
    desk.authenticator.strip(exchange)
    assert exchange.request.headers.get(b"x-api-key") == left


def test_the_consumers_addresses_hold() -> None:
    desk = Desk()
    principal = desk.ask(OLD)
    assert isinstance(principal, Principal)
    assert desk.authenticator.authorize(desk.exchange(OLD), principal) is None
    answer = desk.authenticator.authorize(desk.exchange(OLD, client="198.51.100.1"), principal)
    assert answer is not None
    assert refused(answer) == (403, "consumer.address")


def test_a_consumer_that_changed_is_seen_at_once() -> None:
    desk = Desk()
    first = desk.ask(OLD)
    changed = Consumer("acme", tier="premium")
    desk.table = ConsumerTable.of({"acme": ConsumerPlan(changed, (), (key_row(OLD, "old"),), ())})
    second = desk.ask(OLD)
    assert isinstance(first, Principal)
    assert isinstance(second, Principal)
    assert (first.tier, second.tier) == ("free", "premium")
    desk.table = ConsumerTable.of({})
    assert refused(desk.ask(OLD)) == (401, "api_key.invalid")


def test_an_operator_is_told_whose_key_it_is() -> None:
    desk = Desk()
    now = desk.scope.clock.time()
    told = [explain_key(desk.table, key.encode() + b"\n", at) for key, at in ((NEW, now), (OLD, now), (OLD, now + 61))]
    assert told == [
        "api_key accepts it as key new of consumer acme",
        "api_key accepts it as key old of consumer acme",
        "api_key refuses it: it has expired (api_key.expired)",
    ]
    assert explain_key(desk.table, b"nobody's", now) == "api_key refuses it: no consumer has this key (api_key.unknown)"
