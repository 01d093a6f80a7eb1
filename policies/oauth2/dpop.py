"""DPoP proofs (RFC 9449): reads one and says whether it fits a request and a token. Pure: the clock is an argument.

Whether a proof was seen before, and which nonces are good, is for others to say.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

from gateway.api.errors import RequestRefused
from gateway.http.target import normal_path
from policies.oauth2.core import is_date
from policies.oauth2.keys import ALGORITHMS, PRIVATE_MEMBERS, VerificationKey
from policies.oauth2.reasons import Reason
from policies.oauth2.token import decode_part, read_object, split_parts

MAX_PROOF = 4 * 1024  # octets; one with an RSA key of 4096 bits and its signature has about 2 KiB
MAX_JTI = 256
MAX_AGE_S = 300.0  # RFC 9449 §11.1: on the order of seconds or minutes; with a nonce the nonce's life is the bound
AHEAD_S = 30.0  # a clock that is fast
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose signature is good. `thumbprint` is its key's (RFC 7638)."""

    thumbprint: str
    claims: dict[str, Any]

    @property
    def identity(self) -> str:
        """What it is known by for as long as it could be sent again."""
        return sha256(f"{self.thumbprint}.{self.claims['jti']}".encode("utf-8", "replace")).hexdigest()


def read_proof(raw: bytes) -> Proof | None:
    """RFC 9449 §4.3, points 2 to 7; None when it is no proof at all."""
    parts = split_parts(raw)
    if len(raw) > MAX_PROOF or len(parts) != 3:
        return None
    decoded = [decode_part(part) for part in parts]
    if any(part is None for part in decoded):
        return None
    header, claims = (read_object(part or b"") for part in decoded[:2])
    if header is None or claims is None:
        return None
    jwk, alg, typ = header.get("jwk"), header.get("alg"), header.get("typ")
    if typ != "dpop+jwt" or not isinstance(alg, str) or alg not in ALGORITHMS or "crit" in header:
        return None
    if not isinstance(jwk, dict) or not PRIVATE_MEMBERS.isdisjoint(jwk):
        return None
    try:
        key = VerificationKey(jwk)
    except ValueError:
        return None
    if not key.fits(alg) or not key.verifies(alg, raw[: raw.rindex(b".")], decoded[2] or b""):
        return None
    return Proof(key.thumbprint(), claims)


def refusal_of_proof(
    proof: Proof, token: bytes, method: str, url: str, nonces: Collection[str], now: float
) -> Reason | None:
    """RFC 9449 §4.3, points 8 to 12, and the form of jti. USE_NONCE is the only fault that another proof may mend."""
    claims = proof.claims
    jti, issued, nonce = claims.get("jti"), claims.get("iat"), claims.get("nonce")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI or not is_date(issued):
        return Reason.BAD_PROOF
    if claims.get("htm") != method or not _same_target(claims.get("htu"), url):
        return Reason.WRONG_TARGET
    ath = claims.get("ath")
    expected = urlsafe_b64encode(sha256(token).digest()).rstrip(b"=")
    if not isinstance(ath, str) or not compare_digest(ath.encode("utf-8", "replace"), expected):
        return Reason.WRONG_PROOF
    if not now - MAX_AGE_S <= issued <= now + AHEAD_S:
        return Reason.OLD_PROOF
    if nonce not in nonces:
        return Reason.USE_NONCE
    return None


def _same_target(htu: object, url: str) -> bool:
    """§4.3, point 9: without query and fragment, after the normalization of RFC 3986 §6.2.2 and §6.2.3."""
    if not isinstance(htu, str) or len(htu) > MAX_PROOF:
        return False
    try:
        return _normal(htu) == _normal(url)
    except (ValueError, RequestRefused):  # no port, no path that may be
        return False


def _normal(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    path = normal_path((parts.path or "/").encode("utf-8"))
    port = _PORTS.get(scheme) if parts.port is None else parts.port
    return scheme, (parts.hostname or "").lower(), port, path
