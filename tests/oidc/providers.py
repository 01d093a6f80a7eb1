"""Starts the OpenID providers of this folder, which run on Node.js, and asks them for tokens as clients do.

They come from the npm registry (`scripts/providers` installs them); where they cannot run, `missing()` says why.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

FOLDER = Path(__file__).parent
PATIENCE_S = 20.0
OLDEST_NODE = 20


@cache
def missing() -> str | None:
    """Why no provider can be started here; None when they can."""
    node = shutil.which("node")
    if node is None:
        return "no Node.js here: the gateway is NOT tested against independent OpenID providers"
    said = subprocess.run(
        [node, "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    ).stdout.strip()
    if int(said.removeprefix("v").partition(".")[0] or 0) < OLDEST_NODE:
        return f"Node.js {said} is older than {OLDEST_NODE}: NOT tested against independent OpenID providers"
    if not (FOLDER / "node_modules").is_dir():
        return "run scripts/providers first: NOT tested against independent OpenID providers"
    return None


class Provider:
    """A running provider. `url` is its issuer."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.url = url
        self._process = process
        self._http = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)

    async def tell(self, line: str) -> None:
        """An order, as the provider's script explains; returns when it was carried out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            assert await self._process.stdout.readline()

    async def token(self, client: str, headers: Mapping[str, str] | None = None, **form: str) -> str:
        """An access token by the client credentials grant."""
        answer = await self._http.post(
            "/token", data={"grant_type": "client_credentials", **form}, auth=_basic(client), headers=headers
        )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def revoke(self, client: str, token: str) -> None:
        answer = await self._http.post("/token/revocation", data={"token": token}, auth=_basic(client))
        assert answer.status_code == 200, answer.text

    async def stop(self) -> None:
        await self._http.aclose()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running(script: Literal["provider.mjs", "mock.mjs"]) -> AsyncIterator[Provider]:
    process = await asyncio.create_subprocess_exec(
        "node",
        script,
        cwd=FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        url = (await process.stdout.readline()).decode().strip()
    provider = Provider(process, url)
    try:
        assert url.startswith("http://"), "the provider did not start"
        yield provider
    finally:
        await provider.stop()


def secret_of(client: str) -> str:
    """As in provider.mjs: with characters that a Basic header has to encode (RFC 6749 §2.3.1)."""
    return f"secret of {client}: +/%"


def proof(key: ECKey, method: str, url: str, *, token: str | None = None, nonce: str | None = None) -> str:
    """A DPoP proof (RFC 9449 §4.2)."""
    claims: dict[str, Any] = {"jti": secrets.token_urlsafe(12), "htm": method, "htu": url, "iat": int(time.time())}
    if token is not None:
        claims["ath"] = urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
    if nonce is not None:
        claims["nonce"] = nonce
    head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    return jwt.encode(head, claims, key, ["ES256"])


def introspection(status: int, **body: Any) -> str:
    """The order to mock.mjs for what introspection answers."""
    return json.dumps({"introspection": {"statusCode": status, "body": body}})


def _basic(client: str) -> httpx.BasicAuth:
    return httpx.BasicAuth(quote(client, safe=""), quote(secret_of(client), safe=""))
