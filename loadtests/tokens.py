"""Tokens for benchmarks, the key set that verifies them, and wrk scripts that send them in turn. Needs cryptography."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


class Issuer:
    """https://idp.example with one key, whose public half it writes to jwks.json and public.pem below `folder`."""

    def __init__(self, folder: Path, alg: str = "RS256") -> None:
        self._alg = alg
        self._key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
        if alg == "ES256":
            self._key = ec.generate_private_key(ec.SECP256R1())
            point = self._key.public_key().public_numbers()
            material = {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
        else:
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            material = {"kty": "RSA", "e": "AQAB", "n": _number(self._key.public_key().public_numbers().n, 256)}
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "public.pem").write_bytes(pem)
        jwk = {**material, "alg": alg, "use": "sig", "kid": "k1"}
        (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
        self._made = 0

    def token(self, client: str, scope: str) -> str:
        """A token for audience orders that lives an hour."""
        now = int(time.time())
        self._made += 1
        header = {"alg": self._alg, "typ": "at+jwt", "kid": "k1"}
        claims = {
            "iss": "https://idp.example", "aud": "orders", "sub": client, "client_id": client, "scope": scope,
            "iat": now, "nbf": now - 5, "exp": now + 3600, "jti": f"t{self._made}",
        }  # fmt: skip
        # without blanks, as issuers write them
        signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        return signed + "." + _base64url(self._signature(signed.encode()))

    def _signature(self, signed: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        pair = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in pair)


def wrk_script(folder: Path, requests: Iterable[tuple[str, str]], name: str = "tokens") -> Path:
    """A wrk script that sends GETs for these (path, token) in turn."""
    rows = folder / f"{name}.txt"
    rows.write_text("".join(f"{path} {token}\n" for path, token in requests))
    script = folder / f"{name}.lua"
    script.write_text(f"""local r, i = {{}}, 0
function init()
  for line in io.lines("{rows}") do
    local path, token = line:match("(%S+) (%S+)")
    r[#r + 1] = wrk.format("GET", path, {{["Authorization"] = "Bearer " .. token}})
  end
end
function request() i = i % #r + 1; return r[i] end
""")
    return script


def _number(number: int, octets: int) -> str:
    return _base64url(number.to_bytes(octets, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
