"""Tokens that only the owner of a certificate may use."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest

from gateway.api.exchange import Principal
from gateway.api.messages import Response
from gateway.testing.tokens import TokenDesk, identify_now
from policies.oauth2 import POLICY
from policies.oauth2.bound import CertificateBound

OWN, FOREIGN = b"certificate of acme", b"certificate of eve"


def thumbprint(certificate: bytes) -> str:
    return urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=").decode()


def tried(desk: TokenDesk, cnf: Any, certificate: bytes | None) -> str:
    """Who is believed, or why not. Twice, because a remembered token must prove as much as a new one."""
    built = POLICY.build(POLICY.config(issuer=("partners",), sender_constrained="mtls"), desk.scope)  # type: ignore[call-arg]
    assert isinstance(built, CertificateBound)
    token = desk.issuer.token("acme-prod", cnf=cnf)
    results = []
    for _ in range(2):
        exchange = desk.exchange(token)
        exchange.request.certificate = certificate
        verdict = identify_now(built, exchange)
        if isinstance(verdict, Response):
            assert verdict.status == 401
            assert b'error="invalid_token"' in (verdict.headers.get(b"www-authenticate") or b"")
            assert isinstance(verdict.body, bytes)
            assert json.loads(verdict.body)["code"] == "oauth2.invalid-token"
            results.append(exchange.codes[0])
        else:
            assert isinstance(verdict, Principal)
            results.append(verdict.key)
    assert results[0] == results[1]
    return results[0]


def test_the_owner_of_the_certificate_is_believed() -> None:
    desk = TokenDesk()
    assert tried(desk, {"x5t#S256": thumbprint(OWN)}, OWN) == "client:partners:acme-prod"
    assert desk.scope.counts() == {"allow": 2}


@pytest.mark.parametrize(
    ("cnf", "certificate", "why"),
    [
        ({"x5t#S256": thumbprint(OWN)}, FOREIGN, "oauth2.wrong-certificate"),
        ({"x5t#S256": thumbprint(OWN)}, None, "oauth2.no-certificate"),
        ({"x5t#S256": thumbprint(OWN)}, b"", "oauth2.no-certificate"),
        ({"x5t#S256": thumbprint(OWN) + "="}, OWN, "oauth2.wrong-certificate"),
        ({"x5t#S256": "é"}, OWN, "oauth2.wrong-certificate"),
        ({"x5t#S256": ""}, OWN, "oauth2.unbound"),
        ({"x5t#S256": 7}, OWN, "oauth2.unbound"),
        ({"jkt": thumbprint(OWN)}, OWN, "oauth2.unbound"),
        ("x5t#S256", OWN, "oauth2.unbound"),
        (None, OWN, "oauth2.unbound"),
    ],
)
def test_nobody_else_is(cnf: Any, certificate: bytes | None, why: str) -> None:
    desk = TokenDesk()
    assert tried(desk, cnf, certificate) == why
    assert desk.scope.counts() == {"refuse": 2}
