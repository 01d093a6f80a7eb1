"""Opaque tokens: what the issuer says of them, how rarely it is asked, and what happens while it cannot be asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.api.config import Secret
from gateway.api.exchange import Principal
from gateway.api.messages import Response
from gateway.api.orders import Revoke
from gateway.testing.tokens import Document, TokenDesk, identify
from gateway.testing.turns import until
from policies.oauth2 import POLICY
from policies.oauth2.explain import explain_token
from policies.oauth2.introspection import NEGATIVE_S, QUEUE, TOLERATED
from policies.oauth2.policy import OAuth2


class AskedDesk(TokenDesk):
    """The issuer knows the tokens in `known`; `questions` lists what it was asked about."""

    def __init__(self, **introspection: Any) -> None:
        asked = {
            "endpoint": "https://idp.example/introspect",
            "client_id": "gw",
            "client_secret": Secret("s:ecret", "${env:S}"),
            **introspection,
        }
        super().__init__(introspection=asked)
        self.known: dict[str, Any] = {}
        self.questions: list[str] = []
        self.credentials: set[str] = set()
        self.status = 200
        self.scope.fetch = self.answer

    async def answer(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Document:
        if url != "https://idp.example/introspect":
            return await self.fetch(url)
        assert method == "POST"
        assert data is not None
        assert headers is not None
        self.questions.append(data["token"])
        self.credentials.add(headers["authorization"])
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise OSError("connection refused")
        says = self.known.get(data["token"], {"active": False})
        return Document(self.status, says if isinstance(says, bytes) else json.dumps(says).encode(), {})

    def knows(self, token: str, **claims: Any) -> None:
        said = {"active": True, "client_id": "acme-prod", "exp": self.clock.time() + 300, **claims}
        self.known[token] = {name: value for name, value in said.items() if value is not None}

    def build(self, **config: Any) -> OAuth2:
        built = POLICY.build(POLICY.config(**{"issuer": "partners", **config}), self.scope)
        assert isinstance(built, OAuth2)
        return built

    async def ask(self, authenticator: OAuth2, token: str) -> str:
        """Who is believed, or the code of the refusal."""
        verdict = await identify(authenticator, self.exchange(token))
        if isinstance(verdict, Principal):
            return verdict.key
        assert isinstance(verdict.body, bytes)
        if verdict.status == 503:
            assert int(verdict.headers.get(b"retry-after") or b"0") >= 1
        return str(json.loads(verdict.body)["code"])


ACME = "client:partners:acme-prod"


def test_an_active_token_is_believed_and_remembered_for_cache() -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.knows("opaque-1", scope="orders:read", aud="orders")
        authenticator = desk.build(scopes=["orders:read"])
        for _ in range(3):
            assert await desk.ask(authenticator, "opaque-1") == ACME
        assert desk.questions == ["opaque-1"]
        assert desk.credentials == {"Basic Z3c6cyUzQWVjcmV0"}  # gw:s%3Aecret
        desk.clock.advance(31.0)
        desk.known.clear()
        assert await desk.ask(authenticator, "opaque-1") == "oauth2.invalid-token"
        assert len(desk.questions) == 2
        assert desk.scope.counts()["introspections_total partners active"] == 1

    asyncio.run(run())


def test_a_token_is_never_remembered_past_its_end() -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.knows("opaque", exp=desk.clock.time() + 5)
        authenticator = desk.build()
        assert await desk.ask(authenticator, "opaque") == ACME
        desk.clock.advance(5.0)
        assert await desk.ask(authenticator, "opaque") == "oauth2.expired"

    asyncio.run(run())


def test_an_inactive_token_is_remembered_briefly() -> None:
    async def run() -> None:
        desk = AskedDesk()
        authenticator = desk.build()
        assert [await desk.ask(authenticator, "bad") for _ in range(3)] == ["oauth2.invalid-token"] * 3
        assert desk.questions == ["bad"]
        desk.knows("bad")
        desk.clock.advance(NEGATIVE_S)
        assert await desk.ask(authenticator, "bad") == ACME

    asyncio.run(run())


def test_jwts_are_not_asked_about() -> None:
    async def run() -> None:
        desk = AskedDesk()
        authenticator = desk.build()
        assert await desk.ask(authenticator, desk.issuer.token("acme-prod")) == ACME
        assert await desk.ask(authenticator, "a.b.c") == "oauth2.invalid-token"
        assert await desk.ask(authenticator, "sp ace") == "oauth2.invalid-token"
        assert await desk.ask(authenticator, "x" * 9000) == "oauth2.invalid-token"
        assert desk.questions == []

    asyncio.run(run())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "billing"},
        {"aud": 3},
        {"exp": 1.0},
        {"exp": "soon"},
        {"nbf": 1e12},
        {"client_id": None},
        {"client_id": 7},
    ],
)
def test_what_the_issuer_says_must_be_right(claims: dict[str, Any]) -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.knows("opaque", **claims)
        assert await desk.ask(desk.build(), "opaque") in ("oauth2.invalid-token", "oauth2.expired")

    asyncio.run(run())


def test_callers_with_one_token_share_one_question() -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.knows("opaque")
        desk.gate = asyncio.Event()
        authenticator = desk.build()
        callers = [asyncio.ensure_future(desk.ask(authenticator, "opaque")) for _ in range(20)]
        await until(lambda: bool(desk.questions))
        callers[0].cancel()  # the one who asked goes away
        desk.gate.set()
        assert await asyncio.gather(*callers[1:]) == [ACME] * 19
        assert desk.questions == ["opaque"]

    asyncio.run(run())


def test_at_most_max_in_flight_are_asked_and_a_bounded_number_waits() -> None:
    async def run() -> None:
        desk = AskedDesk(max_in_flight=2)
        desk.gate = asyncio.Event()
        authenticator = desk.build()
        most = 2 * (1 + QUEUE)
        callers = [asyncio.ensure_future(desk.ask(authenticator, f"flood-{number}")) for number in range(most)]
        await until(lambda: len(desk.questions) == 2)
        assert await desk.ask(authenticator, "one-more") == "oauth2.issuer-unavailable"
        assert len(desk.questions) == 2
        assert desk.scope.counts()["introspections_total partners turned-away"] == 1
        desk.gate.set()
        assert set(await asyncio.gather(*callers)) == {"oauth2.invalid-token"}

    asyncio.run(run())


@pytest.mark.parametrize(
    "trouble", ["down", 401, 500, b"no json", b'{"active": "true"}', b'{"active": true, "active": true}']
)
def test_without_an_answer_nobody_is_let_in(trouble: str | int | bytes) -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.knows("good")
        if trouble == "down":
            desk.down = True
        elif isinstance(trouble, int):
            desk.status = trouble
        else:
            desk.known["good"] = trouble
        authenticator = desk.build()
        for _ in range(TOLERATED + 5):
            assert await desk.ask(authenticator, "good") == "oauth2.issuer-unavailable"
        assert len(desk.questions) == TOLERATED, "then it is left alone for a while"
        assert authenticator._asked[0].introspector is not None
        assert authenticator._asked[0].introspector.dependency() == ("issuer:partners", False)
        desk.down, desk.status = False, 200
        desk.knows("good")
        desk.clock.advance(1.0)
        assert await desk.ask(authenticator, "good") == ACME

    asyncio.run(run())


def test_remembered_tokens_go_on_while_the_issuer_is_down() -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.knows("good")
        authenticator = desk.build()
        assert await desk.ask(authenticator, "good") == ACME
        desk.down = True
        assert await desk.ask(authenticator, "good") == ACME

    asyncio.run(run())


def test_an_answer_that_does_not_come_before_the_deadline_is_503() -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.gate = asyncio.Event()
        authenticator = desk.build()
        exchange = desk.exchange("slow")
        exchange.deadline = desk.clock.monotonic()
        verdict = await identify(authenticator, exchange)
        assert isinstance(verdict, Response)
        assert verdict.status == 503
        assert "oauth2.no-answer-in-time" in exchange.codes
        desk.gate.set()

    asyncio.run(run())


def test_revoked_tokens_are_forgotten_and_stay_refused() -> None:
    async def run() -> None:
        desk = AskedDesk()
        now = desk.clock.time()
        authenticator = desk.build()
        revoked = next(one for one in desk.scope.states.values() if hasattr(one, "carry_out"))
        by_jti, by_subject = (
            desk.issuer.token("acme-prod", jti="j1"),
            desk.issuer.token("acme-prod", sub="eve", jti="j2"),
        )
        for token in (by_jti, by_subject):
            assert await desk.ask(authenticator, token) == ACME
        assert revoked.carry_out(Revoke("partners", "j1", None, now, now + 300)) == 1
        assert revoked.carry_out(Revoke("partners", None, "eve", now, now + 300)) == 1
        assert revoked.carry_out(Revoke("others", "j1", None, now, now + 300)) is None
        for token in (by_jti, by_subject):
            assert await desk.ask(authenticator, token) == "oauth2.invalid-token"
        desk.clock.advance(1.0)
        assert await desk.ask(authenticator, desk.issuer.token("acme-prod", sub="eve")) == ACME, "issued since then"

    asyncio.run(run())


def test_explain_asks_about_opaque_tokens() -> None:
    async def run() -> None:
        desk = AskedDesk()
        desk.knows("opaque", scope="a b", cnf={"jkt": "x"})

        async def explained(token: bytes) -> str:
            issuers = {"partners": desk.config}
            return await explain_token(issuers, desk.consumers, token, fetch=desk.answer, clock=desk.clock)

        assert await explained(b"Bearer opaque\n") == (
            "partners accepts it as client 'acme-prod', which is no consumer; scopes: a b; expires in 300 s; "
            "bound to a DPoP key"
        )
        assert "(oauth2.inactive)" in await explained(b"other")
        desk.down = True
        assert "cannot tell" in await explained(b"third")

    asyncio.run(run())
