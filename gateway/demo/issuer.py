"""A small OAuth2 issuer for the demo and the tests: discovery, keys, client credentials, rotation.

It issues access tokens by RFC 9068. Not for use outside: its keys live in memory and its clients are written in code.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl, unquote

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}  # RFC 6749 §5.1
MAX_FORM = 16 * 1024


@dataclass(frozen=True)
class DemoClient:
    secret: str
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)  # added to each of its tokens


class DemoIssuer:
    """`url` is its `iss`, and may be set once its port is known. Two keys from the start: RS256 and ES256."""

    def __init__(
        self,
        url: str,
        audience: str,
        clients: Mapping[str, DemoClient],
        *,
        lifetime_s: int = 300,
        now: Callable[[], float] = time.time,
        keys: Mapping[str, RSAKey | ECKey] | None = None,
    ) -> None:
        self.url = url
        self.audience = audience
        self.clients = clients
        self.lifetime_s = lifetime_s
        self.now = now
        self.keys: dict[str, RSAKey | ECKey] = dict(keys or new_keys())
        self._retiring: list[RSAKey | ECKey] = []
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/.well-known/oauth-authorization-server", self._metadata),
                Route("/jwks.json", self._jwks),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with new keys from now on. The old ones stay published, or leave at once as after a theft."""
        self._retiring = list(self.keys.values()) if keep_old else []
        self.keys = new_keys()

    def metadata(self) -> dict[str, Any]:
        """RFC 8414 §2, OpenID Connect Discovery 1.0 §3."""
        return {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks.json",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(self.keys),
        }

    def jwks(self) -> dict[str, Any]:
        published = [(alg, key) for alg, key in self.keys.items()]
        published += [("RS256" if key.key_type == "RSA" else "ES256", key) for key in self._retiring]
        return {"keys": [{**key.as_dict(private=False), "alg": alg, "use": "sig"} for alg, key in published]}

    def token(self, client_id: str, scopes: Sequence[str] | None = None, *, alg: str = "RS256", **claims: Any) -> str:
        """An access token of a client (RFC 9068 §2); `claims` replace its own, None removes one."""
        client = self.clients[client_id]
        now = int(self.now())
        filled = {
            "iss": self.url,
            "aud": self.audience,
            "sub": client_id,
            "client_id": client_id,
            "iat": now,
            "exp": now + self.lifetime_s,
            "jti": secrets.token_urlsafe(12),
            "scope": " ".join(client.scopes if scopes is None else scopes),
            **client.claims,
            **claims,
        }
        key = self.keys[alg]
        header = {"alg": alg, "typ": "at+jwt", "kid": key.kid or ""}
        return jwt.encode(header, {name: value for name, value in filled.items() if value is not None}, key, [alg])

    async def _metadata(self, request: Request) -> JSONResponse:
        return JSONResponse(self.metadata())

    async def _jwks(self, request: Request) -> JSONResponse:
        return JSONResponse(self.jwks())

    async def _token(self, request: Request) -> JSONResponse:
        """The client credentials grant (RFC 6749 §4.4)."""
        body = await request.body()
        if len(body) > MAX_FORM:
            return _error(400, "invalid_request")
        form = dict(parse_qsl(body.decode("latin-1")))
        client_id, secret = _credentials(request, form)
        client = self.clients.get(client_id)
        if client is None or not compare_digest(client.secret.encode(), secret.encode()):
            return _error(401, "invalid_client", {"www-authenticate": 'Basic realm="demo issuer"'})
        if form.get("grant_type") != "client_credentials":
            return _error(400, "unsupported_grant_type")
        scopes = form["scope"].split() if "scope" in form else list(client.scopes)
        if not set(scopes) <= set(client.scopes):
            return _error(400, "invalid_scope")
        alg = form.get("alg", "RS256")  # the demo's own: shows both kinds of keys
        if alg not in self.keys:
            return _error(400, "invalid_request")
        answer = {
            "access_token": self.token(client_id, scopes, alg=alg),
            "token_type": "Bearer",
            "expires_in": self.lifetime_s,
            "scope": " ".join(scopes),
        }
        return JSONResponse(answer, headers=NO_STORE)


def new_keys() -> dict[str, RSAKey | ECKey]:
    """A fresh key for each algorithm, with a `kid` of its own."""
    return {
        "RS256": RSAKey.generate_key(2048, {"kid": f"rs256-{secrets.token_hex(4)}"}),
        "ES256": ECKey.generate_key("P-256", {"kid": f"es256-{secrets.token_hex(4)}"}),
    }


def _credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """RFC 6749 §2.3.1: client_secret_basic, else client_secret_post."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote(client_id), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _error(status: int, error: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": error}, status, {**NO_STORE, **(headers or {})})
