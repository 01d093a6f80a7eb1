"""What calls that belong together have in common, by the words of `balance`."""

from __future__ import annotations

import pytest

from gateway.api.settings.upstream import HashBalance
from gateway.edge.affinity import of_balance
from gateway.testing.exchange import make_exchange, make_principal


@pytest.mark.parametrize("balance", ["least_request", "round_robin"])
def test_other_balancing_reads_nothing(balance: str) -> None:
    assert of_balance(balance) is None


@pytest.mark.parametrize(
    ("by", "known", "unknown"),
    [("header:X-Tenant", b"blue", None), ("consumer", b"consumer:acme", None), ("ip", b"192.0.2.1", None)],
)
def test_what_is_hashed_and_calls_without_it(by: str, known: bytes, unknown: None) -> None:
    affinity = of_balance(HashBalance(hash=by))
    assert affinity is not None
    full = make_exchange(headers=[("x-tenant", "blue")], principal=make_principal("acme"))
    assert affinity(full) == known
    assert affinity(make_exchange(client="")) is unknown
