"""Addresses and roles of a known consumer."""

from __future__ import annotations

import json

import pytest

from gateway.api.access import Access
from gateway.api.addresses import AddressSet
from gateway.api.ports import Tally
from gateway.testing.exchange import make_exchange, make_principal

GRANTS = {"clerk": frozenset({"GET"}), "poster": frozenset({"POST"}), "admin": None}


@pytest.mark.parametrize(
    ("client", "admitted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::9", True),
        ("11.0.0.1", False),
        ("2001:db9::9", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_addresses(client: str, admitted: bool) -> None:
    assert AddressSet(("10.0.0.0/8", "2001:db8::/32")).holds(client) is admitted


@pytest.mark.parametrize(
    ("roles", "token_roles", "method", "passes"),
    [
        ((), (), "GET", False),
        (("clerk",), (), "GET", True),
        (("clerk",), (), "HEAD", True),
        (("poster",), (), "HEAD", False),
        (("clerk",), (), "POST", False),
        (("admin",), (), "DELETE", True),
        (("other",), (), "GET", False),
        ((), ("clerk",), "GET", True),
        (("clerk",), ("admin",), "PUT", True),
    ],
)
def test_the_table_of_roles(roles: tuple[str, ...], token_roles: tuple[str, ...], method: str, passes: bool) -> None:
    principal = make_principal(roles=frozenset(roles))
    exchange = make_exchange(method)
    forbidden = Tally()
    answer = Access(GRANTS, b"Bearer", forbidden).check(exchange, principal, frozenset(token_roles))
    assert forbidden.value == (0 if passes else 1)
    if passes:
        assert answer is None
    else:
        assert answer is not None
        assert answer.status == 403
        assert json.loads(bytes(answer.body))["code"] == "consumer.role"  # type: ignore[arg-type]
        assert answer.headers.get(b"www-authenticate") == b"Bearer"
        assert exchange.codes == ["consumer.role"]


def test_a_route_that_the_table_does_not_name_asks_for_no_role() -> None:
    assert Access({}, b"Bearer", Tally()).check(make_exchange("DELETE"), make_principal()) is None
