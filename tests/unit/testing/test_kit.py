"""The kit for plugin authors: its clock, its exchanges and scopes behave as the real ones do."""

import asyncio

import pytest

from gateway.api.consumers import NO_LIMITS
from gateway.api.messages import Headers, Response
from gateway.api.policy import Gate, Layer
from gateway.api.ports import is_local
from gateway.testing.clock import FakeClock
from gateway.testing.exchange import (
    OK,
    BytesBody,
    FakeScope,
    NoConsumers,
    close,
    make_exchange,
    make_principal,
    read_all,
    run_layer,
    run_policy,
)


def test_the_clock_moves_when_told():
    clock = FakeClock(10.0, 100.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.time()) == (12.5, 102.5)
    clock.step_time(-50)
    assert (clock.monotonic(), clock.time()) == (12.5, 52.5)
    with pytest.raises(ValueError, match="step_time"):
        clock.advance(-1)


def test_an_exchange_has_what_it_was_given():
    body = BytesBody(b"ab", b"c", announced=3)
    principal = make_principal("acme", tier="free", claims={"sub": "x"})
    exchange = make_exchange("POST", "/a/b?c=d", [("X-One", "1")], body=body, params={"id": "7"}, principal=principal)
    request = exchange.request
    assert (request.method, request.path, request.query) == ("POST", "/a/b", b"c=d")
    assert list(request.headers) == [(b"x-one", b"1"), (b"content-length", b"3")]
    assert exchange.params == {"id": "7"}
    assert exchange.principal is principal
    assert (principal.key, principal.name, principal.tier) == ("consumer:acme", "acme", "free")
    assert asyncio.run(exchange.read_body()) == b"abc"
    assert asyncio.run(exchange.read_body()) == b"abc"


def test_a_body_without_a_length_is_chunked():
    body = BytesBody(b"ab")
    assert make_exchange("POST", body=body).request.headers.get(b"transfer-encoding") == b"chunked"
    assert asyncio.run(read_all(body)) == b"ab"
    body.close()
    assert body.closed
    assert asyncio.run(make_exchange().read_body()) == b""


def test_nobody_is_a_consumer_unless_a_test_says_so():
    nobody = NoConsumers()
    assert nobody.by_name("x") is None
    assert nobody.by_client("i", "x") is None
    assert nobody.by_key_digest(b"") is None
    assert nobody.by_certificate(b"", "") is None
    assert not nobody.names_issuer("i")


def test_scopes_that_are_alike_share_state_and_stores_but_not_counters():
    scope = FakeScope(policy="mine", issuers={"idp": 1}, tiers={"free": NO_LIMITS}, role_grants={"r": None})
    other = scope.like(route="other")
    assert other.policy == "mine"
    kept = scope.state("k", FakeClock)
    assert other.state("k", FakeClock) is kept
    with pytest.raises(TypeError, match="weak reference"):
        scope.state("held weakly, as in the gateway", list)
    assert is_local(scope.store(None))
    assert scope.store(None) is other.store(None)
    scope.tally("allow").value += 1
    scope.tally("refuse")
    assert scope.tally("allow").value == 1
    assert scope.counts() == {"allow": 1}
    assert other.counts() == {}
    assert scope.issuer("idp") == 1
    assert scope.tier("free") is NO_LIMITS
    assert scope.grants() == {"r": None}
    scope.spawn("work", list)
    scope.spawn("work", dict)
    assert scope.spawned == {"work": list}
    with pytest.raises(OSError, match="no network"):
        asyncio.run(scope.fetch("https://idp.example"))


class Tag(Layer):
    async def around(self, exchange, proceed):
        answer = await proceed(exchange)
        answer.headers.add(b"x-tag", b"1")
        return answer


class Closed(Gate):
    def check(self, exchange):
        return Response(403, Headers(), b"no") if exchange.request.method == "PUT" else None


def test_policies_run_in_front_of_an_upstream():
    assert run_policy(Tag(), make_exchange()).headers == [(b"x-tag", b"1")]
    assert OK.headers == []
    assert run_policy(Closed(), make_exchange()).body == b"ok"
    assert run_policy(Closed(), make_exchange("PUT")).status == 403
    assert run_layer(Tag(), make_exchange("GET"), lambda exchange: Response(201, Headers(), b"")).status == 201
    with pytest.raises(OSError, match="broken"):
        run_layer(Tag(), make_exchange(), OSError("broken"))


def test_closers_run_last_in_first_out():
    exchange, order = make_exchange(), []
    exchange.on_close(lambda: order.append(1))
    exchange.on_close(lambda: order.append(2))
    close(exchange)
    assert order == [2, 1]
