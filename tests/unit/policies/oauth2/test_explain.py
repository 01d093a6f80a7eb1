"""`explain --token-file`: plain words for whoever holds the token."""

from __future__ import annotations

import asyncio

from gateway.api.consumers import Consumer
from gateway.compile.plan import ConsumerPlan
from gateway.runtime.consumers import ConsumerTable
from gateway.testing.tokens import TokenDesk
from policies.oauth2 import POLICY
from policies.oauth2.core import Demands
from policies.oauth2.explain import explain_token

ACME = ConsumerTable.of({"acme": ConsumerPlan(Consumer("acme"), (("partners", "acme-prod"),), (), ())})


def explain(desk: TokenDesk, token: str, consumers: ConsumerTable = ACME) -> str:
    issuers = {"partners": desk.config, "staff": desk.config.model_copy(update={"issuer": "https://staff.example"})}
    return asyncio.run(explain_token(issuers, consumers, token.encode(), fetch=desk.fetch, clock=desk.clock))


def test_one_issuer_accepts_and_the_other_says_why_not() -> None:
    desk = TokenDesk()
    for written in ("{}\n", "Bearer {}", "bearer  {}", "dpop {}"):
        assert explain(desk, written.format(desk.issuer.token("acme-prod"))).splitlines() == [
            "partners accepts it as consumer acme; scopes: orders:read orders:write; expires in 300 s",
            "staff refuses it: its iss is not that issuer (oauth2.wrong-issuer)",
        ]


def test_a_good_token_of_nobody() -> None:
    desk = TokenDesk(unknown_consumer="refuse")
    token = desk.issuer.token("acme-prod")
    assert "no consumer has client 'acme-prod'" in explain(desk, token, ConsumerTable())
    allowing = TokenDesk()
    assert "as client 'acme-prod', which is no consumer" in explain(allowing, token, ConsumerTable())


def test_an_expired_token_and_one_for_somebody_else() -> None:
    desk = TokenDesk()
    assert "it has expired" in explain(desk, desk.issuer.token("acme-prod", exp=1))
    assert "aud does not hold" in explain(desk, desk.issuer.token("acme-prod", aud="billing"))


def test_something_that_is_no_token() -> None:
    assert explain(TokenDesk(), "hello").startswith("no issuer accepts it: it is not three parts")


def test_an_issuer_that_cannot_be_asked() -> None:
    desk = TokenDesk()
    desk.down = True
    assert "partners cannot tell: its keys cannot be had: https://idp.example" in explain(
        desk, desk.issuer.token("acme-prod")
    )


def test_what_the_route_demands_beyond_a_good_token() -> None:
    desk = TokenDesk()
    asked = (
        ("orders:read", ""),
        ("orders:cancel", "; the route refuses it with 403: it lacks a scope that is demanded there"),
    )
    for scope, said in asked:
        demands = Demands.of(POLICY.config(issuer="partners", scopes=[scope]))
        token = desk.issuer.token("acme-prod").encode()
        line = asyncio.run(
            explain_token({"partners": desk.config}, ACME, token, fetch=desk.fetch, clock=desk.clock, demands=demands)
        )
        assert line.endswith("expires in 300 s" + said)
