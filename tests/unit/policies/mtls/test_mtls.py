"""A caller is known by its certificate while it is valid, and by nothing that merely looks like one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.consumers import Consumer, Limits, Rate
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.compile.plan import ConsumerPlan
from gateway.runtime.consumers import ConsumerTable
from gateway.testing.exchange import FakeScope, FakeSnapshot, make_exchange
from gateway.testing.tokens import identify_now
from policies.mtls import POLICY
from policies.mtls.core import Certificate, Fault, look_at
from tests.wire.certificates import Partner, partner

AUTHORITY = trustme.CA()
BEGINS = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
ENDS = datetime(2040, 1, 1, tzinfo=UTC)
OLD, NEW, OTHER = (partner(AUTHORITY, name, ends=ENDS) for name in ("acme", "acme", "other"))
SUBJECT = "CN=acme,OU=Orders,O=Acme Ltd"


def sha256_of(one: Partner) -> bytes:
    return bytes.fromhex(one.sha256)


class Desk:
    def __init__(self, *certificates: bytes | str, **config: object) -> None:
        self.scope = FakeScope(policy="mtls")
        self.scope.clock.advance(ENDS.timestamp() - 60 - self.scope.clock.time())  # type: ignore[attr-defined]  # the fake one
        self.consumer = Consumer("acme", tier="free", limits=Limits(Rate(5, 1), 10), ip_allow=("192.0.2.0/24",))
        self.give(self.consumer, *(certificates or (sha256_of(OLD), sha256_of(NEW))))
        built = POLICY.build(POLICY.config(**config), self.scope)
        assert isinstance(built, Authenticator)
        self.authenticator = built

    def give(self, consumer: Consumer, *certificates: bytes | str) -> None:
        self.table = ConsumerTable.of({consumer.name: ConsumerPlan(consumer, (), (), certificates)})

    def exchange(self, der: bytes | None, client: str = "192.0.2.1") -> Exchange:
        exchange = make_exchange(client=client, headers=[("Client-Cert", ":AAAA:"), ("X-Other", "1")])
        exchange.request.certificate = der
        exchange.snapshot = FakeSnapshot(consumers=self.table)
        return exchange

    def ask(self, der: bytes | None) -> Principal | Response:
        return identify_now(self.authenticator, self.exchange(der))


def refused(answer: Principal | Response | None) -> tuple[int, str]:
    assert isinstance(answer, Response)
    assert isinstance(answer.body, bytes)
    assert answer.headers.get(b"www-authenticate") == b'ClientCertificate realm="sluicegate"'
    return answer.status, json.loads(answer.body)["code"]


def test_both_certificates_of_a_consumer_are_good_at_the_same_time() -> None:
    desk = Desk()
    for der in (OLD.der, NEW.der, OLD.der):
        principal = desk.ask(der)
        assert isinstance(principal, Principal)
        assert (principal.key, principal.tier, principal.expires) == ("consumer:acme", "free", ENDS.timestamp())
        assert principal.consumer is desk.consumer
        assert principal.limits is desk.consumer.limits
    assert refused(desk.ask(OTHER.der)) == (403, "consumer.unknown")
    assert desk.scope.counts() == {"allow": 3, "refuse": 1}


def test_a_subject_names_every_certificate_that_carries_it() -> None:
    desk = Desk(SUBJECT)
    assert isinstance(desk.ask(OLD.der), Principal)
    assert isinstance(desk.ask(NEW.der), Principal)
    assert refused(desk.ask(OTHER.der)) == (403, "consumer.unknown")


def test_a_certificate_ends_though_its_connection_goes_on() -> None:
    desk = Desk()
    desk.scope.clock.advance(60)  # type: ignore[attr-defined]  # the fake one
    assert isinstance(desk.ask(OLD.der), Principal)
    desk.scope.clock.advance(1)  # type: ignore[attr-defined]
    assert refused(desk.ask(OLD.der)) == (401, "mtls.expired")
    desk.scope.clock.step_time(BEGINS - 1 - desk.scope.clock.time())  # type: ignore[attr-defined]
    assert refused(desk.ask(OLD.der)) == (401, "mtls.not-yet-valid")


@pytest.mark.parametrize(
    ("der", "code"),
    [(None, "mtls.missing"), (b"", "mtls.malformed"), (b"0\x03\x02\x01\x05", "mtls.malformed"), (OLD.der[:-1], "mtls.malformed")],
)  # fmt: skip
def test_anything_else_is_refused(der: bytes | None, code: str) -> None:
    desk = Desk()
    exchange = desk.exchange(der)
    assert refused(identify_now(desk.authenticator, exchange)) == (401, code)
    assert exchange.codes == [code]
    assert desk.authenticator.presented(exchange) == (der is not None)


@given(
    st.binary(max_size=80) | st.integers(0, len(OLD.der) - 1).map(lambda at: OLD.der[:at] + b"\xff" + OLD.der[at + 1 :])
)
def test_no_octets_break_it(der: bytes) -> None:
    found = look_at(der, ENDS.timestamp())
    assert isinstance(found, Certificate | Fault)
    if isinstance(found, Certificate):
        assert found.sha256.hex() != OLD.sha256 or der == OLD.der


@pytest.mark.parametrize(
    ("config", "believed", "left"),
    [
        ({}, True, None),
        ({"forward": True}, True, b":%b:" % base64.b64encode(OLD.der)),
        ({"forward": True}, False, None),
    ],
)
def test_the_upstream_sees_the_certificate_only_when_told(config: dict[str, object], believed: bool, left: bytes | None) -> None:  # fmt: skip
    desk = Desk(**config)
    exchange = desk.exchange(OLD.der)
    if believed:
        found = identify_now(desk.authenticator, exchange)
        assert isinstance(found, Principal)
        exchange.principal = found
    desk.authenticator.strip(exchange)
    assert exchange.request.headers.get_all(b"client-cert") == ([] if left is None else [left])
    assert exchange.request.headers.get(b"x-other") == b"1"


def test_the_consumers_addresses_hold() -> None:
    desk = Desk()
    principal = desk.ask(OLD.der)
    assert isinstance(principal, Principal)
    assert desk.authenticator.authorize(desk.exchange(OLD.der), principal) is None
    elsewhere = desk.exchange(OLD.der, client="198.51.100.1")
    assert refused(desk.authenticator.authorize(elsewhere, principal)) == (403, "consumer.address")
    assert desk.scope.counts() == {"allow": 1, "forbid": 1}


def test_a_consumer_that_changed_is_seen_at_once() -> None:
    desk = Desk()
    first = desk.ask(OLD.der)
    desk.give(Consumer("acme", tier="premium"), sha256_of(OLD))
    second = desk.ask(OLD.der)
    assert isinstance(first, Principal)
    assert isinstance(second, Principal)
    assert (first.tier, second.tier) == ("free", "premium")
    desk.give(Consumer("acme"), sha256_of(NEW))
    assert refused(desk.ask(OLD.der)) == (403, "consumer.unknown")


def test_a_certificate_ends_far_away_or_never() -> None:
    far = partner(AUTHORITY, "acme", ends=datetime(9999, 12, 31, tzinfo=UTC) - timedelta(seconds=1))
    assert isinstance(look_at(far.der, ENDS.timestamp()), Certificate)
