"""The demo's issuer, as a client sees it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.demo.issuer import DemoClient, DemoIssuer
from gateway.testing.tokens import shared_keys


@pytest.fixture
def issuer() -> DemoIssuer:
    clients = {"acme": DemoClient("s:e/c ret", ("orders:read", "orders:write"), {"tenant": "a"})}
    return DemoIssuer("http://idp.test", "orders", clients, keys=shared_keys())


def call(issuer: DemoIssuer, method: str, path: str, **options: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(issuer.app), base_url=issuer.url) as client:
            return await client.request(method, path, **options)

    return asyncio.run(run())


GRANT = {"grant_type": "client_credentials"}


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"])
def test_discovery_leads_to_keys_and_tokens(issuer: DemoIssuer, path: str) -> None:
    metadata = call(issuer, "GET", path).json()
    assert metadata["issuer"] == issuer.url
    keys = call(issuer, "GET", metadata["jwks_uri"]).json()["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256"}
    assert all("d" not in key for key in keys), "private parts stay private"
    assert metadata["token_endpoint"] == "http://idp.test/token"


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_token_by_client_credentials(issuer: DemoIssuer, alg: str) -> None:
    answer = call(
        issuer, "POST", "/token", auth=("acme", "s:e/c ret"), data={**GRANT, "scope": "orders:read", "alg": alg}
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    token = jwt.decode(answer.json()["access_token"], KeySet.import_key_set(issuer.jwks()), [alg])
    assert token.header["typ"] == "at+jwt"
    assert token.claims["iss"] == issuer.url
    assert token.claims["aud"] == "orders"
    assert token.claims["client_id"] == token.claims["sub"] == "acme"
    assert token.claims["scope"] == "orders:read"
    assert token.claims["tenant"] == "a"
    assert token.claims["exp"] - token.claims["iat"] == answer.json()["expires_in"] == 300


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ({"data": GRANT}, 401, "invalid_client"),
        ({"data": GRANT, "auth": ("acme", "wrong")}, 401, "invalid_client"),
        ({"data": GRANT, "auth": ("nobody", "")}, 401, "invalid_client"),
        ({"data": GRANT, "headers": {"authorization": "Basic %%%"}}, 401, "invalid_client"),
        ({"data": {"grant_type": "password"}, "auth": ("acme", "s:e/c ret")}, 400, "unsupported_grant_type"),
        ({"data": {**GRANT, "scope": "admin"}, "auth": ("acme", "s:e/c ret")}, 400, "invalid_scope"),
        ({"data": {**GRANT, "alg": "none"}, "auth": ("acme", "s:e/c ret")}, 400, "invalid_request"),
        ({"content": b"a" * 20_000}, 400, "invalid_request"),
    ],
)
def test_refusals(issuer: DemoIssuer, options: dict[str, Any], status: int, error: str) -> None:
    answer = call(issuer, "POST", "/token", **options)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_credentials_in_the_form_are_taken_too(issuer: DemoIssuer) -> None:
    form = {**GRANT, "client_id": "acme", "client_secret": "s:e/c ret"}
    assert call(issuer, "POST", "/token", data=form).status_code == 200


def test_rotation_keeps_or_drops_the_old_keys(issuer: DemoIssuer) -> None:
    first = {key["kid"] for key in issuer.jwks()["keys"]}
    issuer.rotate()
    second = {key["kid"] for key in issuer.jwks()["keys"]}
    assert first < second
    assert len(second) == 4
    issuer.rotate(keep_old=False)
    third = {key["kid"] for key in issuer.jwks()["keys"]}
    assert not third & second
