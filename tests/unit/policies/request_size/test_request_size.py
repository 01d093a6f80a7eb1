"""request_size: announced bodies, streamed ones, and shadow."""

import asyncio

from gateway.testing.exchange import BytesBody, FakeScope, close, make_exchange, read_all
from policies.request_size import POLICY
from policies.request_size.config import RequestSizeConfig


def gate(scope=None, limit="10B"):
    return POLICY.build(RequestSizeConfig(max=limit), scope or FakeScope())


def test_a_request_without_a_body_passes():
    scope, exchange = FakeScope(), make_exchange()
    assert gate(scope).check(exchange) is None
    assert scope.counts() == {"allow": 1}


def test_an_announced_body_is_refused_before_it_is_read():
    body = BytesBody(b"x" * 11, announced=11)
    scope, exchange = FakeScope(), make_exchange("POST", body=body)
    refusal = gate(scope).check(exchange)
    assert refusal.status == 413
    assert b"request_size.exceeded" in refusal.body
    assert b"larger than 10B" in refusal.body
    assert body.pieces == [b"x" * 11]
    assert scope.counts() == {"refuse": 1}


def test_a_body_of_exactly_the_limit_passes():
    exchange = make_exchange("POST", body=BytesBody(b"x" * 10, announced=10))
    assert gate().check(exchange) is None
    assert exchange.max_body == 10


def test_the_smallest_limit_holds_in_either_order():
    for limits in (("10B", "20B"), ("20B", "10B")):
        exchange = make_exchange("POST", body=BytesBody(b"x"))
        for limit in limits:
            assert gate(limit=limit).check(exchange) is None
        assert exchange.max_body == 10


def test_a_streamed_body_is_counted_when_the_exchange_ends():
    scope = FakeScope()
    passed = make_exchange("POST", body=BytesBody(b"x"))
    refused = make_exchange("POST", body=BytesBody(b"x" * 99))
    for exchange in (passed, refused):
        assert gate(scope).check(exchange) is None
        assert exchange.max_body == 10
    refused.note("request_size.exceeded")  # as the edge does when it refuses
    close(passed)
    close(refused)
    assert scope.counts() == {"allow": 1, "refuse": 1}


def test_in_shadow_a_streamed_body_passes_whole_and_is_counted():
    scope = FakeScope(shadow=True)
    small = make_exchange("POST", body=BytesBody(b"12345", b"67890"))
    large = make_exchange("POST", body=BytesBody(b"12345", b"67890", b"1", b"2"))
    for exchange, whole in ((small, b"1234567890"), (large, b"123456789012")):
        assert gate(scope).check(exchange) is None
        assert exchange.max_body is None
        assert asyncio.run(read_all(exchange.request.body)) == whole
        exchange.request.body.close()
    assert scope.counts() == {"allow": 1, "refuse": 1}


def test_in_shadow_an_announced_body_limits_nothing_further():
    exchange = make_exchange("POST", body=BytesBody(b"x", announced=1))
    assert gate(FakeScope(shadow=True)).check(exchange) is None
    assert exchange.max_body is None
