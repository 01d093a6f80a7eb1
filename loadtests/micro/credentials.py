"""What tokens and API keys cost for each call, in µs of CPU: remembered, never seen before, and refused.

    python -m loadtests.micro.credentials

Every figure is the best of many runs. "bare" is the check of the signature alone, with the same key.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable

from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.api.consumers import Consumer
from gateway.api.exchange import Exchange, Principal
from gateway.api.policy import Authenticator
from gateway.compile.plan import ConsumerPlan
from gateway.runtime.consumers import ConsumerTable
from gateway.testing.exchange import FakeScope, FakeSnapshot, make_exchange
from gateway.testing.tokens import TokenDesk
from loadtests.timing import best
from policies import api_key, oauth2
from policies.oauth2.keys import KeySet, read_key_set
from policies.oauth2.token import Token, read_token
from tests.attack.test_tokens import ATTACKS, Forger

MANY = 150
TURNS = 40
KEY = "sgk_k0000000_" + "a" * 43
BROWSER = [("host", "api.example"), ("user-agent", "hey/0.0.1"), ("accept", "*/*"), ("accept-encoding", "gzip")]


def main() -> None:
    desk = TokenDesk(unknown_consumer="refuse")
    digest = hashlib.sha256(KEY.encode()).digest()
    acme = ConsumerPlan(Consumer("acme"), (("partners", "acme-prod"),), ((digest, "k0", None),), ())
    snapshot = FakeSnapshot(consumers=ConsumerTable.of({"acme": acme}))

    def exchange(*headers: tuple[str, str]) -> Exchange:
        made = make_exchange("POST", "/orders", [*BROWSER, *headers, ("content-type", "application/json")])
        made.snapshot = snapshot
        return made

    def bearer(token: str) -> Exchange:
        return exchange(("authorization", f"Bearer {token}"))

    tokens = oauth2.POLICY.build(oauth2.POLICY.config(issuer="partners", scopes=["orders:write"]), desk.scope)
    keys = api_key.POLICY.build(api_key.POLICY.config(), FakeScope(policy="api_key"))
    assert isinstance(tokens, Authenticator)
    assert isinstance(keys, Authenticator)
    known = bearer(desk.issuer.token("acme-prod"))
    principal = asyncio.run(tokens.identify(known))
    assert isinstance(principal, Principal)
    gc.collect()
    gc.disable()

    print(f"remembered token       {best([known] * 20_000, tokens.identify_nowait):6.2f}")
    print(f"the route's scopes     {best([known] * 20_000, lambda one: tokens.authorize(one, principal)):6.2f}")
    api = exchange(("x-api-key", KEY))
    print(f"API key                {best([api] * 20_000, keys.identify_nowait):6.2f}")
    published = read_key_set(json.dumps(desk.issuer.jwks()).encode())
    for alg in ("RS256", "ES256"):
        cold(alg, desk, tokens, published, bearer)
    attacks(tokens, bearer)


def cold(
    alg: str, desk: TokenDesk, tokens: Authenticator, published: KeySet, bearer: Callable[[str], Exchange]
) -> None:
    """Tokens never seen before, each once; in every turn the bare checks see the very tokens that the gateway saw."""
    whole = joserfc = ours = 1e9
    library = JWSRegistry.algorithms[alg]
    public = next(jwk for jwk in desk.issuer.jwks()["keys"] if jwk["alg"] == alg)
    imported = (RSAKey if alg == "RS256" else ECKey).import_key(public)
    for _ in range(TURNS):
        fresh = [desk.issuer.token("acme-prod", alg=alg) for _ in range(MANY)]
        calls = [bearer(one) for one in fresh]
        whole = min(whole, best(calls, tokens.identify_nowait, runs=1))
        read = [token for one in fresh if isinstance(token := read_token(one.encode()), Token)]
        (key,) = published.fitting(read[0].kid, alg)
        joserfc = min(joserfc, best(read, lambda token: library.verify(token.signed, token.signature, imported), 1))
        ours = min(ours, best(read, lambda token, key=key: key.verifies(alg, token.signed, token.signature), 1))
    print(
        f"{alg} never seen       {whole:6.2f}, bare by joserfc {joserfc:6.2f}: {whole / joserfc:.2f} times; "
        f"by cryptography {ours:6.2f}: {whole / ours:.2f} times"
    )
    forged = [bearer(one[:-8] + "AAAAAAAA") for one in fresh]
    print(f"{alg} forged           {best(forged, tokens.identify_nowait):6.2f}")


def attacks(tokens: Authenticator, bearer: Callable[[str], Exchange]) -> None:
    """The dearest of all known attacks (tests/attack/test_tokens.py), and of payloads that are made to be dear to read."""
    forger = Forger(TokenDesk())
    costs = {}
    for name, (_, forge) in ATTACKS.items():
        calls = [bearer(forge(forger))] * 5
        costs[name] = best(calls, tokens.identify_nowait)
    dear = {
        "500 openings": b'{"a":[' + b"{}," * 500 + b'"' + b"z" * 3500 + b'"]}',
        "240 floats": b'{"a":[' + b"1.7976931348623157e308," * 240 + b"1]}",
        "750 members": b"{" + b",".join(b'"%x":1' % number for number in range(750)) + b"}",
        "5,500 digits": b'{"a":' + b"1" * 5500 + b"}",
    }
    for name, payload in dear.items():
        signed = b".".join(
            urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"ES256","typ":"at+jwt"}', payload)
        )
        costs[name] = best([signed + b".AAAA"] * 5, read_token)
    dearest = max(costs, key=lambda name: costs[name])
    print(f"{len(costs)} attacks, the dearest {costs[dearest]:6.2f} ({dearest})")


if __name__ == "__main__":
    main()
