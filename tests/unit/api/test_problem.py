"""Refusals as callers and the access log see them."""

import orjson

from gateway.api.problem import problem
from gateway.testing.exchange import FakeSnapshot, make_exchange


def test_a_refusal_says_what_and_for_which_request_and_is_kept_by_no_cache():
    exchange = make_exchange()
    exchange.snapshot = FakeSnapshot(problem_prefix="https://errors.example/")
    answer = problem(exchange, 503, "breaker.open", "It fails.", ((b"retry-after", b"7"),), upstream="orders")
    assert answer.status == 503
    assert answer.headers == [
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"retry-after", b"7"),
    ]
    assert orjson.loads(answer.body) == {
        "type": "https://errors.example/breaker.open",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "It fails.",
        "code": "breaker.open",
        "request_id": exchange.request_id,
        "upstream": "orders",
    }
    assert exchange.codes == ["breaker.open"]
