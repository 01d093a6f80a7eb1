"""Refusals: what is prepared is what would have been written anew."""

from gateway.api.problem import PreparedProblem, problem
from gateway.testing.exchange import FakeSnapshot, make_exchange

RETRY = (b"retry-after", b"7")


def test_a_prepared_refusal_is_the_same_for_every_request_and_prefix():
    members = {"upstream": "request-id"}
    prepared = PreparedProblem(503, "breaker.open", "It fails.", **members)
    for prefix, request_id in (
        ("urn:a:", "one"),
        ("urn:a:", "two"),
        ('https://b/"request_id":"', "three"),
        ("urn:a:", "one"),
    ):
        exchange, other = make_exchange(), make_exchange()
        exchange.snapshot = other.snapshot = FakeSnapshot(problem_prefix=prefix)
        exchange.request_id = other.request_id = request_id
        answer = prepared.answer(exchange, RETRY)
        assert answer == problem(other, 503, "breaker.open", "It fails.", (RETRY,), **members)
        assert exchange.codes == other.codes == ["breaker.open"]
