"""Keys are had, kept, renewed and dropped at the right times, whatever the issuer does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from joserfc import jwt

from gateway.api.exchange import Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.testing.tokens import TokenDesk, identify, identify_now
from gateway.testing.turns import a_turn, until
from policies.oauth2 import POLICY
from policies.oauth2.discovery import KeySource, NoKeys, metadata_urls
from policies.oauth2.keyring import BURST, COOLDOWN_S, MAX_RETRY_S, REFRESH_S, Keyring


def build(desk: TokenDesk) -> Authenticator:
    built = POLICY.build(POLICY.config(issuer="partners"), desk.scope)
    assert isinstance(built, Authenticator)
    return built


def keyring(desk: TokenDesk) -> Keyring:
    (found,) = [state for state in desk.scope.states.values() if isinstance(state, Keyring)]
    return found


def status(answer: Principal | Response) -> int:
    return answer.status if isinstance(answer, Response) else 200


def ask(authenticator: Authenticator, desk: TokenDesk, token: str | None = None) -> int:
    return status(identify_now(authenticator, desk.exchange(token or desk.issuer.token("acme-prod"))))


def test_the_first_token_fetches_keys_and_the_next_do_not() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    assert [ask(authenticator, desk) for _ in range(3)] == [200, 200, 200]
    assert desk.fetched == ["https://idp.example/.well-known/openid-configuration", "https://idp.example/jwks.json"]


def test_an_issuer_that_is_down_from_the_start_is_503_and_never_open() -> None:
    desk = TokenDesk()
    desk.down = True
    authenticator = build(desk)
    token = desk.issuer.token("acme-prod")
    answer = identify_now(authenticator, desk.exchange(token))
    assert isinstance(answer, Response)
    assert answer.status == 503
    assert json.loads(bytes(answer.body))["code"] == "oauth2.issuer-unavailable"  # type: ignore[arg-type]
    assert answer.headers.get(b"retry-after") == b"1"
    assert desk.scope.counts() == {"unavailable": 1}

    asked = len(desk.fetched)
    assert ask(authenticator, desk) == 503
    assert len(desk.fetched) == asked, "who asks again at once does not ask the issuer again"

    desk.down = False
    desk.clock.advance(1)
    assert ask(authenticator, desk) == 200


def test_pauses_grow_while_the_issuer_is_down_and_end_with_it() -> None:
    desk = TokenDesk()
    desk.down = True
    build(desk)
    ring = keyring(desk)

    async def run() -> list[float]:
        pauses = []
        for _ in range(9):
            await ring.refresh()
            pauses.append(ring.pause_s())
        return pauses

    assert asyncio.run(run()) == [1, 2, 4, 8, 16, 32, MAX_RETRY_S, MAX_RETRY_S, MAX_RETRY_S]
    assert "connection refused" in ring.failure
    desk.down = False
    asyncio.run(ring.refresh())
    assert (ring.pause_s(), ring.failure) == (REFRESH_S, "")


def test_the_background_task_is_the_keyrings() -> None:
    desk = TokenDesk()
    build(desk)
    (run,) = desk.scope.spawned.values()

    async def until_keys() -> None:
        running = asyncio.ensure_future(run())
        await until(lambda: keyring(desk).ready)
        running.cancel()

    asyncio.run(until_keys())
    assert keyring(desk).ready


def test_when_the_issuer_is_no_longer_trusted_whoever_waits_for_it_gets_an_answer() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    (run,) = desk.scope.spawned.values()

    async def end_in_the_middle() -> int:
        desk.gate = asyncio.Event()
        background = asyncio.ensure_future(run())
        waiting = asyncio.ensure_future(identify(authenticator, desk.exchange(desk.issuer.token("acme-prod"))))
        await until(lambda: desk.fetched)
        background.cancel()
        return status(await waiting)

    assert asyncio.run(end_in_the_middle()) == 503


def test_a_bug_in_fetching_does_not_end_the_renewal(caplog: pytest.LogCaptureFixture) -> None:
    desk = TokenDesk()

    async def broken(*_: object, **__: object) -> object:
        raise KeyError("bug")

    desk.scope.fetch = broken
    authenticator = build(desk)
    assert ask(authenticator, desk) == 503
    assert "a bug while its keys were fetched" in caplog.text
    assert keyring(desk).pause_s() == 1


def test_keys_go_on_through_an_outage_for_stale_and_no_longer() -> None:
    desk = TokenDesk(stale="1h", remember="2h")
    authenticator = build(desk)
    desk.issuer.lifetime_s = 100_000
    token = desk.issuer.token("acme-prod")
    assert ask(authenticator, desk, token) == 200
    desk.down = True
    desk.clock.advance(3600)
    asyncio.run(keyring(desk).refresh())
    assert ask(authenticator, desk) == 200, "a token never seen before"
    desk.clock.advance(1)
    asyncio.run(keyring(desk).refresh())
    assert ask(authenticator, desk, token) == 503, "a remembered token does not outlive the keys"
    assert ask(authenticator, desk) == 503


def test_a_new_key_is_found_by_the_first_token_that_names_it() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    assert ask(authenticator, desk) == 200
    for _ in range(3):  # however soon after the last fetch
        desk.issuer.rotate()
        desk.fetched.clear()
        assert ask(authenticator, desk) == 200
        assert len(desk.fetched) == 2


def test_a_kid_that_nobody_knows_is_looked_for_once_in_a_cooldown() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    assert ask(authenticator, desk) == 200
    published = desk.issuer.jwks()
    desk.issuer.rotate()
    desk.documents["/jwks.json"] = published  # the new key is not there yet
    desk.fetched.clear()
    assert [ask(authenticator, desk) for _ in range(5)] == [401] * 5
    assert len(desk.fetched) == 2
    desk.documents.clear()
    desk.clock.advance(COOLDOWN_S)
    assert ask(authenticator, desk) == 200


def test_a_flood_of_unknown_kids_costs_the_issuer_a_few_fetches() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    assert ask(authenticator, desk) == 200
    desk.fetched.clear()
    claims = {"iss": desk.issuer.url}
    for number in range(300):
        token = jwt.encode({"alg": "RS256", "kid": f"nobody-{number}"}, claims, desk.issuer.keys["RS256"], ["RS256"])
        assert ask(authenticator, desk, token) == 401
    assert len(desk.fetched) == BURST * 2
    desk.clock.advance(COOLDOWN_S)
    desk.issuer.rotate()
    assert ask(authenticator, desk) == 200, "and a new key is found a cooldown later at the latest"


def test_a_fetch_that_began_before_the_rotation_does_not_refuse_the_new_key() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    assert ask(authenticator, desk) == 200

    async def run() -> int:
        desk.gate = asyncio.Event()
        old = {"/jwks.json": desk.issuer.jwks()}
        background = asyncio.ensure_future(keyring(desk).refresh())
        desk.fetched.clear()
        await until(lambda: desk.fetched)
        desk.issuer.rotate()
        desk.documents = old
        waiting = asyncio.ensure_future(identify(authenticator, desk.exchange(desk.issuer.token("acme-prod"))))
        await a_turn()
        desk.gate.set()
        await background
        desk.documents = {}
        return status(await waiting)

    assert asyncio.run(run()) == 200


def test_whoever_asks_at_the_same_time_waits_for_the_same_fetch() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    token = desk.issuer.token("acme-prod")

    async def run() -> tuple[list[int], int]:
        desk.gate = asyncio.Event()
        waiting = [asyncio.ensure_future(identify(authenticator, desk.exchange(token))) for _ in range(20)]
        await until(lambda: desk.fetched)
        waiting[0].cancel()  # who started the fetch leaves; the others still get their answer
        await a_turn()
        desk.gate.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        return [status(answer) for answer in answers[1:] if not isinstance(answer, BaseException)], len(desk.fetched)

    assert asyncio.run(run()) == ([200] * 19, 2)


def test_waiting_ends_with_the_requests_deadline() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    exchange = desk.exchange(desk.issuer.token("acme-prod"))
    exchange.deadline = desk.clock.monotonic()

    async def run() -> Principal | Response:
        desk.gate = asyncio.Event()
        try:
            return await identify(authenticator, exchange)
        finally:
            desk.gate.set()
            await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    assert status(asyncio.run(run())) == 503
    assert "oauth2.no-answer-in-time" in exchange.codes


def test_a_key_that_leaves_the_set_takes_its_remembered_tokens_along() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    old = desk.issuer.token("acme-prod")
    assert ask(authenticator, desk, old) == 200
    desk.issuer.rotate(keep_old=False)
    asyncio.run(keyring(desk).refresh())
    assert ask(authenticator, desk, old) == 401
    assert ask(authenticator, desk) == 200


def test_rotation_with_overlap_refuses_nobody() -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    old = desk.issuer.token("acme-prod")
    assert ask(authenticator, desk, old) == 200
    desk.issuer.rotate()
    asyncio.run(keyring(desk).refresh())
    assert [ask(authenticator, desk, token) for token in (old, desk.issuer.token("acme-prod"))] == [200, 200]


@pytest.mark.parametrize(
    "broken", [b"not json", b"[]", {"keys": []}, {"keys": [{"kty": "oct", "k": "AA"}]}, {}, b"[" * 9999]
)
def test_a_broken_key_set_counts_as_no_answer(broken: object) -> None:
    desk = TokenDesk()
    authenticator = build(desk)
    assert ask(authenticator, desk) == 200
    desk.documents["/jwks.json"] = broken
    asyncio.run(keyring(desk).refresh())
    assert keyring(desk).failure
    assert ask(authenticator, desk) == 200, "the keys of before go on"


@pytest.mark.parametrize(
    "odd",
    [
        {"key_ops": None},
        {"use": None},
        {"alg": None},
        {"x5c": None},
        {"x5c": "no list"},
        {"x5t": None},
        {"x5u": ""},
        {"exp": 1},
    ],
)
def test_what_an_issuer_writes_beside_a_key_does_not_spoil_it(odd: dict[str, object]) -> None:
    desk = TokenDesk()
    desk.documents["/jwks.json"] = {"keys": [{**jwk, **odd} for jwk in desk.issuer.jwks()["keys"]]}
    assert ask(build(desk), desk) == 200


def test_one_odd_key_does_not_spoil_the_others() -> None:
    desk = TokenDesk()
    good = desk.issuer.jwks()["keys"]
    desk.documents["/jwks.json"] = {"keys": [{**good[0], "kid": "odd", "key_ops": 5}, *good]}
    assert ask(build(desk), desk) == 200


def test_keys_survive_a_changed_configuration_and_remembered_tokens_do_not() -> None:
    desk = TokenDesk()
    first = build(desk)
    token = desk.issuer.token("acme-prod")
    assert ask(first, desk, token) == 200
    desk.scope.issuers["partners"] = desk.config.model_copy(update={"audience": ("billing",)})
    second = build(desk)
    desk.down = True
    assert ask(second, desk, token) == 401, "remembered under another audience"
    assert ask(first, desk, token) == 200


class TestFile:
    def desk(self, path: Path) -> TokenDesk:
        desk = TokenDesk(jwks=str(path))
        path.write_text(json.dumps(desk.issuer.jwks()))
        return desk

    def test_keys_of_a_file_are_there_before_the_first_request(self, tmp_path: Path) -> None:
        desk = self.desk(tmp_path / "keys.json")
        authenticator = build(desk)
        exchange = desk.exchange(desk.issuer.token("acme-prod"))
        assert isinstance(authenticator.identify_nowait(exchange), Principal)
        assert desk.fetched == []

    def test_building_again_reads_the_file_again(self, tmp_path: Path) -> None:
        desk = self.desk(tmp_path / "keys.json")
        build(desk)
        desk.issuer.rotate(keep_old=False)
        (tmp_path / "keys.json").write_text(json.dumps(desk.issuer.jwks()))
        authenticator = build(desk)
        assert isinstance(authenticator.identify_nowait(desk.exchange(desk.issuer.token("acme-prod"))), Principal)

    def test_a_file_that_is_gone_is_503(self, tmp_path: Path) -> None:
        desk = TokenDesk(jwks=str(tmp_path / "none.json"))
        authenticator = build(desk)
        assert ask(authenticator, desk) == 503


class TestDiscovery:
    def source(self, desk: TokenDesk, issuer: str = "https://idp.example") -> KeySource:
        return KeySource(issuer, None, desk.fetch)

    def test_where_metadata_may_be(self) -> None:
        assert metadata_urls("https://idp.example/tenant/") == (
            "https://idp.example/tenant/.well-known/openid-configuration",
            "https://idp.example/.well-known/oauth-authorization-server/tenant",
            "https://idp.example/.well-known/openid-configuration/tenant",
        )

    def test_rfc_8414_is_tried_when_openid_is_not_there(self) -> None:
        desk = TokenDesk()
        desk.documents["/.well-known/openid-configuration"] = None
        desk.documents["/.well-known/oauth-authorization-server"] = desk.issuer.metadata()
        assert json.loads(asyncio.run(self.source(desk).get()))["keys"]

    @pytest.mark.parametrize(
        "metadata",
        [
            {"issuer": "https://evil.example", "jwks_uri": "https://idp.example/jwks.json"},
            {"issuer": "https://idp.example"},
            {"issuer": "https://idp.example", "jwks_uri": "http://idp.example/jwks.json"},
            {"issuer": "https://idp.example", "jwks_uri": "file:///etc/passwd"},
            {"issuer": "https://idp.example", "jwks_uri": 7},
            [],
            b"<html>",
        ],
    )
    def test_metadata_that_must_not_be_used(self, metadata: object) -> None:
        desk = TokenDesk()
        desk.documents["/.well-known/openid-configuration"] = metadata
        with pytest.raises(NoKeys):
            asyncio.run(self.source(desk).get())

    def test_a_moved_key_set_is_followed_and_lost_metadata_do_not_matter(self) -> None:
        desk = TokenDesk()
        source = self.source(desk)
        asyncio.run(source.get())
        desk.documents["/.well-known/openid-configuration"] = None
        assert json.loads(asyncio.run(source.get()))["keys"]
        moved = {**desk.issuer.metadata(), "jwks_uri": "https://idp.example/moved.json"}
        desk.documents |= {"/.well-known/openid-configuration": moved, "/moved.json": {"keys": []}}
        assert json.loads(asyncio.run(source.get())) == {"keys": []}

    def test_an_answer_without_end_is_refused(self) -> None:
        desk = TokenDesk()
        desk.documents["/jwks.json"] = b" " * (512 * 1024 + 1)
        with pytest.raises(NoKeys, match="larger"):
            asyncio.run(self.source(desk).get())
