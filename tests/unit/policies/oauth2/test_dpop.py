"""Proofs of possession: one that is right, and everything that is not."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from gateway.api.errors import StoreError
from gateway.api.exchange import Exchange, Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator, CheckContext, Level
from gateway.api.settings.document import Settings
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore, memory_store
from gateway.testing.tokens import TokenDesk, identify
from policies.oauth2 import POLICY
from policies.oauth2.nonces import STEP_S, Nonces
from policies.oauth2.proven import Proven


@cache
def key(name: str) -> ECKey:
    return ECKey.generate_key("P-256")


class Caller:
    """An owner of a bound token, who calls GET https://api.example/orders."""

    def __init__(self, store: RemoteStore | None = None, secret: bytes | None = None, **config: Any) -> None:
        self.desk = TokenDesk()
        if store is not None:
            self.desk.scope.stores[None] = store.scoped("oauth2")
        if secret is not None:
            self.desk.scope.secret = secret
        built = POLICY.build(
            POLICY.config(**{"issuer": ("partners",), "sender_constrained": "dpop", **config}), self.desk.scope
        )
        assert isinstance(built, Proven)
        self.authenticator = built
        self.token = self.desk.issuer.token("acme-prod", cnf={"jkt": key("own").thumbprint()})
        self.count = 0

    def nonce(self) -> str:
        fresh = Nonces(self.desk.scope.secret, memory_store(self.desk.clock))
        return asyncio.run(fresh.good(self.desk.clock.time()))[0]

    def proof(self, *, own: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        own = own or key("own")
        self.count += 1
        said = {
            "jti": f"jti-{self.count}",
            "htm": "GET",
            "htu": "https://api.example/orders",
            "iat": int(self.desk.clock.time()),
            "ath": urlsafe_b64encode(sha256(self.token.encode()).digest()).rstrip(b"=").decode(),
            "nonce": self.nonce(),
            **claims,
        }
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": own.as_dict(private=False), **(header or {})}
        return jwt.encode(head, {name: value for name, value in said.items() if value is not None}, own, [head["alg"]])

    def exchange(self, *proofs: str, scheme: str = "DPoP", token: str | None = None) -> Exchange:
        fields = [("Authorization", f"{scheme} {token or self.token}"), *(("DPoP", proof) for proof in proofs)]
        return self.desk.exchange(None, fields, target="/orders?page=2")

    def call(self, *proofs: str, **changed: Any) -> str:
        """Who is believed, or why not."""
        exchange = self.exchange(*proofs, **changed)
        verdict = asyncio.run(identify(self.authenticator, exchange))
        if isinstance(verdict, Principal):
            return verdict.key
        assert verdict.status == 401
        assert any(value.startswith(b"DPoP ") for value in verdict.headers.get_all(b"www-authenticate"))
        return exchange.codes[0]


ACME = "client:partners:acme-prod"


def test_a_token_with_its_proof_is_believed_again_and_again() -> None:
    caller = Caller()
    assert [caller.call(caller.proof()) for _ in range(3)] == [ACME] * 3
    assert caller.desk.scope.counts() == {"allow": 3}
    assert caller.call(caller.proof(htu="HTTPS://API.example:443/a/../orders#x")) == ACME


def test_a_proof_is_good_once() -> None:
    caller = Caller()
    proof = caller.proof()
    assert caller.call(proof) == ACME
    assert caller.call(proof) == "oauth2.used-proof"


def test_a_caller_without_the_nonce_is_told_it() -> None:
    caller = Caller()
    exchange = caller.exchange(caller.proof(nonce=None))
    verdict = asyncio.run(identify(caller.authenticator, exchange))
    assert isinstance(verdict, Response)
    assert isinstance(verdict.body, bytes)
    assert json.loads(verdict.body)["code"] == "oauth2.use-dpop-nonce"
    assert b'error="use_dpop_nonce"' in (verdict.headers.get(b"www-authenticate") or b"")
    told = (verdict.headers.get(b"dpop-nonce") or b"").decode()
    assert caller.call(caller.proof(nonce=told)) == ACME


def test_a_nonce_ages_and_another_worker_accepts_it() -> None:
    caller = Caller()
    nonce = caller.nonce()
    caller.desk.clock.advance(STEP_S)
    exchange = caller.exchange(caller.proof(nonce=nonce))
    assert isinstance(asyncio.run(identify(caller.authenticator, exchange)), Principal)
    assert exchange.response_headers == [(b"dpop-nonce", caller.nonce().encode())]
    caller.desk.clock.advance(5 * STEP_S - STEP_S)
    caller.token = caller.desk.issuer.token("acme-prod", cnf={"jkt": key("own").thumbprint()})
    assert caller.call(caller.proof(nonce=nonce)) == "oauth2.use-dpop-nonce"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"jti": None}, "bad-proof"),
        ({"jti": ""}, "bad-proof"),
        ({"jti": "x" * 300}, "bad-proof"),
        ({"jti": 7}, "bad-proof"),
        ({"iat": None}, "bad-proof"),
        ({"htm": "POST"}, "wrong-target"),
        ({"htm": None}, "wrong-target"),
        ({"htu": None}, "wrong-target"),
        ({"htu": "https://api.example/other"}, "wrong-target"),
        ({"htu": "http://api.example/orders"}, "wrong-target"),
        ({"htu": "https://evil.example/orders"}, "wrong-target"),
        ({"htu": "https://api.example:x/orders"}, "wrong-target"),
        ({"htu": "https://api.example:0/orders"}, "wrong-target"),
        ({"htu": "https://[/orders"}, "wrong-target"),
        ({"ath": None}, "wrong-proof"),
        ({"ath": "é"}, "wrong-proof"),
        ({"iat": 1}, "old-proof"),
        ({"iat": 10**11}, "old-proof"),
        ({"nonce": "mine"}, "use-dpop-nonce"),
        ({"nonce": ["mine"]}, "use-dpop-nonce"),
    ],
)
def test_a_proof_must_be_for_this_call(claims: dict[str, Any], why: str) -> None:
    caller = Caller()
    assert caller.call(caller.proof(**claims)) == f"oauth2.{why}"


def test_a_proof_must_be_a_proof() -> None:
    caller = Caller()
    good = caller.proof()
    head, payload, signature = good.split(".")
    keyless = urlsafe_b64encode(b'{"alg":"ES256","typ":"dpop+jwt","jwk":"key"}').rstrip(b"=").decode()
    private = caller.proof(header={"jwk": key("own").as_dict(private=True)})
    foreign = caller.proof(header={"jwk": key("other").as_dict(private=False)})
    for bad in (
        "",
        "a.b",
        "a.b.c",
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{payload}.",
        good + "=",
        good.replace(".", ".é", 1),
        "x" * 5000,
        private,
        foreign,
        caller.proof(header={"typ": "JWT"}),
        f"{keyless}.{payload}.{signature}",
        caller.proof(header={"jwk": {"kty": "oct", "k": "AAAA"}}),
        caller.token,
    ):
        assert caller.call(bad) == "oauth2.bad-proof", bad
    assert caller.call() == "oauth2.no-proof"
    assert caller.call(good, caller.proof()) == "oauth2.no-proof"
    assert caller.call(caller.proof(own=key("other"))) == "oauth2.wrong-proof"
    rsa = RSAKey.generate_key(2048)
    assert caller.call(caller.proof(own=rsa, header={"alg": "RS256"})) == "oauth2.wrong-proof"


def test_a_bound_token_never_passes_as_a_plain_one() -> None:
    caller = Caller(sender_constrained="any")
    assert caller.call(scheme="Bearer") == "oauth2.no-proof"
    assert caller.call(caller.proof(), scheme="Bearer") == "oauth2.no-proof"
    assert caller.call(caller.proof(), token=caller.desk.issuer.token("acme-prod")) == "oauth2.unbound"
    assert caller.call(scheme="Bearer", token=caller.desk.issuer.token("acme-prod")) == "oauth2.unbound"
    assert caller.call(caller.proof()) == ACME


def test_what_another_route_remembers_counts_under_its_own_scheme_only() -> None:
    caller = Caller()
    digest = urlsafe_b64encode(sha256(b"own").digest()).rstrip(b"=").decode()
    plain = POLICY.build(POLICY.config(issuer=("partners",)), caller.desk.scope)
    assert isinstance(plain, Authenticator)

    def called(authenticator: Authenticator, exchange: Exchange) -> int:
        exchange.request.certificate = b"own"
        verdict = asyncio.run(identify(authenticator, exchange))
        return 200 if isinstance(verdict, Principal) else verdict.status

    certified = caller.desk.issuer.token("acme-prod", cnf={"x5t#S256": digest})
    assert called(plain, caller.exchange(scheme="Bearer", token=certified)) == 200
    assert called(caller.authenticator, caller.exchange(scheme="Bearer", token=certified)) == 401
    assert called(caller.authenticator, caller.exchange(caller.proof())) == 200
    assert called(plain, caller.exchange()) == 401, "a DPoP token whose proof this route does not check"


def test_a_keys_operations_are_a_list() -> None:
    caller = Caller()
    for operations in (5, True, "verify", {}):
        jwk = {**key("own").as_dict(private=False), "key_ops": operations}
        header = urlsafe_b64encode(json.dumps({"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk}).encode()).rstrip(b"=")
        assert caller.call(f"{header.decode()}.{caller.proof().split('.', 1)[1]}") == "oauth2.bad-proof"


def test_any_takes_a_certificate_as_well() -> None:
    caller = Caller(sender_constrained="any")
    digest = urlsafe_b64encode(sha256(b"own").digest()).rstrip(b"=").decode()
    token = caller.desk.issuer.token("acme-prod", cnf={"x5t#S256": digest})
    exchange = caller.exchange(scheme="Bearer", token=token)
    exchange.request.certificate = b"own"
    assert isinstance(asyncio.run(identify(caller.authenticator, exchange)), Principal)
    assert caller.call(scheme="Bearer", token=token) == "oauth2.no-certificate"


def test_processes_that_share_a_store_share_nonces_and_used_proofs() -> None:
    store = RemoteStore(FakeClock())
    here, there = Caller(store, b"one machine"), Caller(store, b"another")
    nonce = told(here)
    assert told(there) == nonce
    there.token = here.token
    proof = here.proof(nonce=nonce)
    assert here.call(proof) == ACME
    assert there.call(proof) == "oauth2.used-proof"
    assert there.call(there.proof(nonce=nonce, jti="another")) == ACME


def told(caller: Caller) -> str:
    """The nonce that a caller without one is told."""
    verdict = asyncio.run(identify(caller.authenticator, caller.exchange(caller.proof(nonce=None))))
    assert isinstance(verdict, Response)
    return (verdict.headers.get(b"dpop-nonce") or b"").decode()


def test_without_the_store_nobody_is_believed() -> None:
    store = RemoteStore(FakeClock())
    caller = Caller(store)
    proof = caller.proof(nonce=told(caller))
    store.down = True
    with pytest.raises(StoreError):
        caller.call(proof)
    assert caller.desk.scope.counts()["unavailable"] == 1
    store.down = False
    assert caller.call(proof) == ACME


@pytest.mark.parametrize(
    ("config", "store", "warned"),
    [
        ({"sender_constrained": "dpop"}, None, []),
        ({"sender_constrained": "dpop"}, "memory", [("sender_constrained",)]),
        ({"sender_constrained": "any", "store": "fast"}, None, [("sender_constrained",)]),
        ({"sender_constrained": "dpop", "store": "redis://cache:6379/0"}, "memory", []),
        ({"sender_constrained": "mtls", "store": "fast"}, None, [("store",)]),
        ({}, "memory", []),
    ],
)
def test_proofs_in_memory_are_warned_of(config: dict[str, Any], store: str | None, warned: list[object]) -> None:
    settings = Settings(version=1, store=store, stores={"fast": "memory"})
    found = POLICY.check(POLICY.config(issuer="partners", **config), CheckContext(Level.ROUTE, settings=settings))
    assert [(one.path, one.level) for one in found] == [(path, "warning") for path in warned]


def test_the_proof_stays_here() -> None:
    caller = Caller(forward=False)
    exchange = caller.exchange(caller.proof())
    caller.authenticator.strip(exchange)
    assert exchange.request.headers.get(b"dpop") is None
    assert exchange.request.headers.get(b"authorization") is None


def challenges(refusal: object) -> list[tuple[bytes, bytes]]:
    """Each scheme of a refusal with its error."""
    assert isinstance(refusal, Response)
    said = refusal.headers.get_all(b"www-authenticate")
    return [(value.split(b" ")[0], value.partition(b'error="')[2].partition(b'"')[0]) for value in said]


@pytest.mark.parametrize(
    ("offered", "scheme", "expected"),
    [
        ("dpop", "DPoP", [(b"DPoP", b"invalid_token")]),
        ("dpop", "Bearer", [(b"DPoP", b"")]),
        ("any", "DPoP", [(b"DPoP", b"invalid_token"), (b"Bearer", b"")]),
        ("any", "Bearer", [(b"DPoP", b""), (b"Bearer", b"invalid_token")]),
    ],
)
def test_what_is_wrong_is_said_under_the_scheme_that_was_used(
    offered: str, scheme: str, expected: list[tuple[bytes, bytes]]
) -> None:
    """RFC 9449 §7.1; and Bearer is not offered where only DPoP is taken."""
    caller = Caller(sender_constrained=offered)
    exchange = caller.exchange(scheme=scheme, token="a.b.c")
    assert challenges(asyncio.run(identify(caller.authenticator, exchange))) == expected


@pytest.mark.parametrize(("offered", "others"), [("dpop", []), ("any", [(b"Bearer", b"")])])
def test_a_scope_that_lacks_is_said_under_dpop(offered: str, others: list[tuple[bytes, bytes]]) -> None:
    caller = Caller(sender_constrained=offered, scopes=("nobody:has",))
    exchange = caller.exchange(caller.proof())
    principal = asyncio.run(identify(caller.authenticator, exchange))
    assert isinstance(principal, Principal)
    caller.authenticator.strip(exchange)
    refusal = caller.authenticator.authorize(exchange, principal)
    assert challenges(refusal) == [(b"DPoP", b"insufficient_scope"), *others]
