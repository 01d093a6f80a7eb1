"""RS256 tokens for benchmarks, the key set that verifies them, and wrk scripts that send them in turn. Needs cryptography."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Issuer:
    """https://idp.example with one RSA key, whose public half it writes to jwks.json and public.pem below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / "public.pem").write_bytes(pem)
        modulus = _base64url(public.public_numbers().n.to_bytes(256, "big"))
        jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "e": "AQAB", "n": modulus}
        (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
        self._made = 0

    def token(self, client: str, scope: str) -> str:
        """A token for audience orders that lives an hour."""
        now = int(time.time())
        self._made += 1
        header = {"alg": "RS256", "typ": "at+jwt", "kid": "k1"}
        claims = {
            "iss": "https://idp.example", "aud": "orders", "sub": client, "client_id": client, "scope": scope,
            "iat": now, "nbf": now - 5, "exp": now + 3600, "jti": f"t{self._made}",
        }  # fmt: skip
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        return signed + "." + _base64url(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))


def wrk_script(folder: Path, requests: Iterable[tuple[str, str]]) -> Path:
    """A wrk script that sends GETs for these (path, token) in turn."""
    rows = ",".join(f'{{"{path}","{token}"}}' for path, token in requests)
    script = folder / "tokens.lua"
    script.write_text(
        "local t = {"
        + rows
        + """}
local r, i = {}, 0
function init()
  for k, v in ipairs(t) do r[k] = wrk.format("GET", v[1], {["Authorization"] = "Bearer " .. v[2]}) end
end
function request() i = i % #r + 1; return r[i] end
"""
    )
    return script


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
