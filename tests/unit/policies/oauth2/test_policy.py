"""Who a believed token is, and what the route demands of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from joserfc import jwt

from gateway.api.consumers import Consumer, Limits, Rate
from gateway.api.exchange import Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.compile.plan import ConsumerPlan
from gateway.demo.issuer import DemoIssuer
from gateway.runtime.consumers import ConsumerTable
from gateway.testing.tokens import TokenDesk, identify_now
from policies import oauth2
from policies.oauth2 import POLICY

ACME = Consumer("acme", tier="premium", limits=Limits(rate=Rate(100, 1), burst=200), roles=frozenset({"clerk"}))


def build(desk: TokenDesk, **config: Any) -> Authenticator:
    built = POLICY.build(POLICY.config(**{"issuer": "partners", **config}), desk.scope)
    assert isinstance(built, Authenticator)
    return built


def with_acme(desk: TokenDesk, issuer: str = "partners", consumer: Consumer = ACME) -> TokenDesk:
    desk.consumers = ConsumerTable.of({"acme": ConsumerPlan(consumer, ((issuer, "acme-prod"),), (), ())})
    return desk


def told(answer: Principal | Response | None) -> tuple[int, str, str]:
    assert isinstance(answer, Response)
    assert isinstance(answer.body, bytes)
    challenge = answer.headers.get(b"www-authenticate") or b""
    return answer.status, json.loads(answer.body)["code"], challenge.decode()


def believed(answer: Principal | Response) -> Principal:
    assert isinstance(answer, Principal), answer
    return answer


def test_the_example_decodes() -> None:
    written = yaml.safe_load((Path(oauth2.__file__).parent / "example.yaml").read_text())
    assert POLICY.config.model_validate(written["oauth2"]).issuer == ("partners",)  # type: ignore[attr-defined]


def test_a_consumer_is_known_by_its_client() -> None:
    desk = with_acme(TokenDesk())
    authenticator = build(desk)
    token = desk.issuer.token("acme-prod", tenant="a")
    fresh = believed(identify_now(authenticator, desk.exchange(token)))
    assert (fresh.key, fresh.consumer, fresh.tier, fresh.limits) == ("consumer:acme", ACME, "premium", ACME.limits)
    assert (fresh.issuer, fresh.client_id, fresh.claims["tenant"]) == ("partners", "acme-prod", "a")
    assert fresh.scopes == {"orders:read", "orders:write"}
    assert fresh.expires == desk.clock.time() + 300
    assert authenticator.identify_nowait(desk.exchange(token)) is fresh, "remembered"
    assert desk.scope.counts() == {"allow": 2}


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_schemes_name_has_no_case(scheme: str) -> None:
    desk = TokenDesk()
    exchange = desk.exchange(None, [("Authorization", f"{scheme} {desk.issuer.token('acme-prod')}")])
    authenticator = build(desk)
    assert authenticator.presented(exchange)
    believed(identify_now(authenticator, exchange))


@pytest.mark.parametrize(
    "headers", [[], [("Authorization", "Basic YTpi")], [("Authorization", "")], [("Authorization", "Bearer")]]
)
def test_without_a_token_there_is_a_bare_challenge(headers: list[tuple[str, str]]) -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    exchange = desk.exchange(None, headers)
    assert not authenticator.presented(exchange)
    assert told(authenticator.identify_nowait(exchange)) == (401, "oauth2.missing", 'Bearer realm="sluicegate"')


class TestTime:
    def test_leeway_is_forgiven_both_ways(self) -> None:
        desk = TokenDesk(leeway="10s")
        authenticator = build(desk)
        now = desk.clock.time()
        for claims in ({"exp": now - 9.9}, {"nbf": now + 10}, {"iat": now + 10}):
            believed(identify_now(authenticator, desk.exchange(desk.issuer.token("acme-prod", **claims))))
        late = desk.issuer.token("acme-prod", exp=now - 10)
        assert told(identify_now(authenticator, desk.exchange(late)))[:2] == (401, "oauth2.expired")

    def test_a_remembered_token_ends_with_its_time(self) -> None:
        desk = TokenDesk(leeway="0s", remember="1h")
        authenticator = build(desk)
        token = desk.issuer.token("acme-prod")
        believed(identify_now(authenticator, desk.exchange(token)))
        desk.clock.advance(299.9)
        believed(identify_now(authenticator, desk.exchange(token)))
        desk.clock.advance(0.1)
        assert told(identify_now(authenticator, desk.exchange(token)))[:2] == (401, "oauth2.expired")


class TestUnknownConsumer:
    @pytest.mark.parametrize(
        ("written", "issuer_is_named", "passes"),
        [
            ("refuse", False, False),
            ("refuse", True, False),
            ("allow", True, True),
            (None, True, False),
            (None, False, True),
        ],
    )
    def test_what_the_configuration_says(self, written: str | None, issuer_is_named: bool, passes: bool) -> None:
        desk = TokenDesk(unknown_consumer=written, tier="free")
        desk.scope.tiers["free"] = Limits(rate=Rate(5, 1), burst=10)
        if issuer_is_named:
            desk.consumers = ConsumerTable.of({"a": ConsumerPlan(Consumer("a"), (("partners", "other"),), (), ())})
        answer = identify_now(build(desk), desk.exchange(desk.issuer.token("acme-prod")))
        if passes:
            principal = believed(answer)
            assert (principal.key, principal.consumer) == ("client:partners:acme-prod", None)
            assert (principal.tier, principal.limits) == ("free", desk.scope.tiers["free"])
        else:
            assert told(answer) == (403, "consumer.unknown", 'Bearer realm="sluicegate"')

    def test_consumers_that_change_are_seen_by_remembered_tokens(self) -> None:
        desk = with_acme(TokenDesk(unknown_consumer="refuse"))
        authenticator = build(desk)
        token = desk.issuer.token("acme-prod")
        assert believed(identify_now(authenticator, desk.exchange(token))).tier == "premium"
        with_acme(desk, consumer=Consumer("acme", tier="free")).version = "2"
        assert believed(identify_now(authenticator, desk.exchange(token))).tier == "free"
        desk.consumers, desk.version = ConsumerTable(), "3"
        assert told(identify_now(authenticator, desk.exchange(token)))[:2] == (403, "consumer.unknown")


class TestSeveralIssuers:
    def desk(self) -> tuple[TokenDesk, DemoIssuer]:
        desk = TokenDesk(unknown_consumer="refuse")
        staff = DemoIssuer("https://staff.example", "orders", desk.issuer.clients, now=desk.clock.time)
        desk.scope.issuers["staff"] = desk.config.model_copy(
            update={"issuer": staff.url, "jwks": "https://staff.example/staff.json"}
        )
        desk.documents["/staff.json"] = staff.jwks()
        return with_acme(desk, "partners"), staff

    def test_each_token_is_judged_by_its_own_issuer(self) -> None:
        desk, staff = self.desk()
        authenticator = build(desk, issuer=["staff", "partners"])
        assert believed(identify_now(authenticator, desk.exchange(desk.issuer.token("acme-prod")))).issuer == "partners"
        # the same client id at another issuer is another client
        answer = identify_now(authenticator, desk.exchange(staff.token("acme-prod")))
        assert told(answer)[:2] == (403, "consumer.unknown")

    def test_one_issuers_key_does_not_sign_for_another(self) -> None:
        desk, staff = self.desk()
        authenticator = build(desk, issuer=["staff", "partners"])
        for iss in (desk.issuer.url, "https://other.example"):
            answer = identify_now(authenticator, desk.exchange(staff.token("acme-prod", iss=iss)))
            assert told(answer)[:2] == (401, "oauth2.invalid-token")

    def test_an_issuer_that_is_not_on_the_route_is_not_believed(self) -> None:
        desk, staff = self.desk()
        both, one = build(desk, issuer=["staff", "partners"]), build(desk, issuer="partners")
        token = staff.token("acme-prod")
        identify_now(both, desk.exchange(token))  # remembered for staff
        assert told(identify_now(one, desk.exchange(token)))[:2] == (401, "oauth2.invalid-token")

    def test_an_issuer_that_is_down_does_not_take_the_other_along(self) -> None:
        desk, staff = self.desk()
        desk.documents["/staff.json"] = None
        authenticator = build(desk, issuer=["staff", "partners"])
        assert told(identify_now(authenticator, desk.exchange(staff.token("acme-prod"))))[0] == 503
        believed(identify_now(authenticator, desk.exchange(desk.issuer.token("acme-prod"))))


class TestDemands:
    def ask(self, config: dict[str, Any], **claims: Any) -> tuple[int, str, str]:
        desk = with_acme(TokenDesk())
        authenticator = build(desk, **config)
        exchange = desk.exchange(desk.issuer.token("acme-prod", **claims))
        principal = believed(identify_now(authenticator, exchange))
        answer = authenticator.authorize(exchange, principal)
        return (200, "", "") if answer is None else told(answer)

    @pytest.mark.parametrize(
        ("claims", "passes"),
        [
            ({"scope": "a b"}, True),
            ({"scope": "a b c"}, True),
            ({"scope": "a"}, False),
            ({"scope": "ab"}, False),
            ({"scope": None}, False),
            ({"scope": None, "scp": ["a", "b"]}, True),
            ({"scope": None, "scp": "a b"}, True),
            ({"scope": ["a", "b"]}, True),
            ({"scope": 7}, False),
        ],
    )
    def test_all_scopes(self, claims: dict[str, Any], passes: bool) -> None:
        challenge = 'Bearer realm="sluicegate", error="insufficient_scope", scope="a b"'
        expected = (200, "", "") if passes else (403, "oauth2.insufficient-scope", challenge)
        assert self.ask({"scopes": ["a", "b"]}, **claims) == expected

    @pytest.mark.parametrize(("scope", "status"), [("a", 200), ("b x", 200), ("x", 403), ("", 403)])
    def test_any_scope(self, scope: str, status: int) -> None:
        assert self.ask({"any_scope": ["a", "b"]}, scope=scope)[0] == status

    @pytest.mark.parametrize(
        ("role", "claims", "status"),
        [
            ("clerk", {}, 200),  # of the consumer
            ("admin", {}, 403),
            ("admin", {"roles": ["admin"]}, 200),
            ("admin", {"realm_access": {"roles": ["x", "admin"]}}, 200),
            ("admin", {"roles": "admin"}, 403),
            ("admin", {"roles": [["admin"]]}, 403),
        ],
    )
    def test_roles(self, role: str, claims: dict[str, Any], status: int) -> None:
        answer = self.ask({"roles": [role, "never"]}, **claims)
        assert answer[:2] == ((200, "") if status == 200 else (403, "oauth2.missing-role"))

    @pytest.mark.parametrize(
        ("demand", "claims", "status"),
        [
            ({"tenant": "a"}, {"tenant": "a"}, 200),
            ({"tenant": "a"}, {"tenant": "b"}, 403),
            ({"tenant": "a"}, {}, 403),
            ({"tenant": ["a", "b"]}, {"tenant": "b"}, 200),
            ({"tenant": "a"}, {"tenant": ["x", "a"]}, 200),
            ({"address.country": "DE"}, {"address": {"country": "DE"}}, 200),
            ({"address.country": "DE"}, {"address": "DE"}, 403),
            ({"https://example.com/t": "a"}, {"https://example.com/t": "a"}, 200),
            ({"level": 2}, {"level": 2}, 200),
            ({"level": 1}, {"level": True}, 403),
            ({"level": 2}, {"level": "2"}, 403),
            ({"verified": True}, {"verified": True}, 200),
            ({"verified": True}, {"verified": 1}, 403),
            ({"a": "1", "b": "2"}, {"a": "1"}, 403),
        ],
    )
    def test_claims(self, demand: dict[str, Any], claims: dict[str, Any], status: int) -> None:
        answer = self.ask({"claims": demand}, **claims)
        assert answer[:2] == ((200, "") if status == 200 else (403, "oauth2.missing-claim"))

    def test_the_table_of_roles_holds_for_tokens(self) -> None:
        desk = with_acme(TokenDesk())
        desk.scope.role_grants = {"clerk": frozenset({"GET"})}
        authenticator = build(desk)
        for method, status in (("GET", None), ("POST", 403)):
            exchange = desk.exchange(desk.issuer.token("acme-prod"), method=method)
            answer = authenticator.authorize(exchange, believed(identify_now(authenticator, exchange)))
            assert (answer and answer.status) == status

    def test_a_remembered_token_is_held_to_each_routes_own_demands(self) -> None:
        desk = with_acme(TokenDesk())
        lax, strict = build(desk), build(desk, scopes=["admin"])
        token = desk.issuer.token("acme-prod")
        exchange = desk.exchange(token)
        assert lax.authorize(exchange, believed(identify_now(lax, exchange))) is None
        principal = strict.identify_nowait(exchange)
        assert isinstance(principal, Principal), "shared by the routes"
        assert told(strict.authorize(exchange, principal))[:2] == (403, "oauth2.insufficient-scope")


@pytest.mark.parametrize(("forward", "left"), [(True, True), (False, False)])
def test_the_upstream_sees_the_token_only_when_told(forward: bool, left: bool) -> None:
    desk = TokenDesk()
    exchange = desk.exchange("t")
    build(desk, forward=forward).strip(exchange)
    assert (exchange.request.headers.get(b"authorization") is not None) is left


@pytest.mark.parametrize(
    ("config", "header"),
    [
        ({"typ": "any"}, {"alg": "RS256"}),
        ({"typ": ("JWT",)}, {"alg": "RS256", "typ": "application/jwt"}),
        ({}, {"alg": "RS256", "typ": "AT+JWT"}),
        ({}, {"alg": "RS256", "typ": "JWT"}),
    ],
)
def test_forms_that_are_taken(config: dict[str, Any], header: dict[str, str]) -> None:
    desk = TokenDesk(**config)
    claims = {"iss": desk.issuer.url, "aud": ["x", "orders"], "exp": desk.clock.time() + 60, "client_id": "acme-prod"}
    token = jwt.encode(header, claims, desk.issuer.keys["RS256"], ["RS256"], default_type=None)
    believed(identify_now(build(desk), desk.exchange(token)))
