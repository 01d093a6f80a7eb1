"""An issuer's public keys: reads a JWK set, finds the keys that fit a token, checks signatures. Fetches nothing."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

MIN_RSA_BITS = 2048  # NIST SP 800-131A rev. 2
MAX_RSA_BITS = 8192  # a check of a larger one costs more than 1 ms
MAX_KEYS = 100  # in a set; Google and Microsoft publish fewer than 10
MAX_TRIES = 4  # keys tried for a token without kid
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})

# algorithm -> (kty, crv): RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2
_FITS: dict[str, tuple[str, str | None]] = {
    **{f"{family}{size}": ("RSA", None) for family in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
_MATERIAL = {
    "RSA": ("kty", "n", "e"),
    "EC": ("kty", "crv", "x", "y"),
    "OKP": ("kty", "crv", "x"),
}  # RFC 7518 §6, RFC 8037 §2
_KINDS: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class VerificationKey:
    """One public key. `live` turns False, for good, when its issuer no longer publishes it."""

    __slots__ = ("_key", "_public", "alg", "crv", "kid", "kty", "live", "material")

    def __init__(self, jwk: dict[str, Any]) -> None:
        """Raises ValueError, in words for the log, when the JWK is not a public key that may verify."""
        kty = jwk.get("kty")
        kind = _KINDS.get(kty) if isinstance(kty, str) else None
        if kind is None:
            raise ValueError("its kty is not RSA, EC or OKP")  # oct above all: a shared secret verifies nothing here
        if not isinstance(jwk.get("kid"), str | None) or not isinstance(jwk.get("alg"), str | None):
            raise ValueError("its kid or alg is not text")
        operations = jwk.get("key_ops", ["verify"])
        # RFC 7517 §4.2, §4.3; some issuers write null for what they leave out
        if jwk.get("use") not in (None, "sig") or (
            operations is not None and (not isinstance(operations, list) or "verify" not in operations)
        ):
            raise ValueError("it is not for signatures")
        # §4: other members are ignored, so that none of them (x5c, x5t, private ones) can make a good key unusable
        public = {name: jwk[name] for name in _MATERIAL[kind.key_type] if name in jwk}
        try:
            self._key = kind.import_key(_checked_size(public))
            self._public: Any = self._key.get_op_key("verify")
        except (JoseError, ValueError, TypeError, KeyError) as exc:
            raise ValueError(f"it is not a usable {kty} key") from exc
        self.kty: str = kind.key_type
        self.crv: str | None = public.get("crv")
        self.kid: str | None = jwk.get("kid")
        self.alg: str | None = jwk.get("alg")
        self.material: bytes = json.dumps([public, self.kid, self.alg]).encode()
        self.live = True

    def fits(self, alg: str) -> bool:
        return _FITS.get(alg) in ((self.kty, self.crv), (self.kty, None)) and self.alg in (None, alg)

    def thumbprint(self) -> str:
        """RFC 7638, by SHA-256."""
        return self._key.thumbprint()

    def verifies(self, alg: str, signed: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `signed`. Synchronous: RS256 takes 22 µs, ES256 73."""
        try:
            _CHECKS[alg](self._public, signature, signed)
        except (InvalidSignature, ValueError, TypeError):  # a signature of a wrong form is a wrong signature
            return False
        return True


# By cryptography, with all that does not change made once: joserfc, which uses it too, makes it anew for each signature, and
# takes 12 µs more for ES256 (loadtests/micro/credentials.py)
_Check = Callable[[Any, bytes, bytes], None]


def _rsa(padding: PKCS1v15 | PSS, digest: HashAlgorithm) -> _Check:
    return lambda key, signature, signed: key.verify(signature, signed, padding, digest)


def _ecdsa(size: int, digest: HashAlgorithm) -> _Check:
    scheme, number = ECDSA(digest), int.from_bytes

    def check(key: Any, signature: bytes, signed: bytes) -> None:
        if len(signature) != 2 * size:  # RFC 7518 §3.4: R and S, each as long as the curve's numbers
            raise InvalidSignature
        pair = encode_dss_signature(number(signature[:size], "big"), number(signature[size:], "big"))
        key.verify(pair, signed, scheme)

    return check


def _eddsa(key: Any, signature: bytes, signed: bytes) -> None:
    key.verify(signature, signed)


_CHECKS: dict[str, _Check] = {
    **{f"RS{digest.digest_size * 8}": _rsa(PKCS1v15(), digest) for digest in (SHA256(), SHA384(), SHA512())},
    # RFC 7518 §3.5: the salt is as long as the hash
    **{
        f"PS{digest.digest_size * 8}": _rsa(PSS(MGF1(digest), digest.digest_size), digest)
        for digest in (SHA256(), SHA384(), SHA512())
    },
    "ES256": _ecdsa(32, SHA256()),
    "ES384": _ecdsa(48, SHA384()),
    "ES512": _ecdsa(66, SHA512()),
    "EdDSA": _eddsa,
    "Ed25519": _eddsa,
}

ALGORITHMS = frozenset(_FITS)
"""Every algorithm that a key here can verify."""


class KeySet:
    """The keys of one JWK set. `skipped` says, for the log, which could not be used and why."""

    __slots__ = ("_all", "_fitting", "_kids", "skipped")

    def __init__(self, keys: list[VerificationKey], skipped: tuple[str, ...]) -> None:
        self._all = tuple(keys)
        by_kid: dict[str | None, list[VerificationKey]] = {}
        for key in keys:
            by_kid.setdefault(key.kid, []).append(key)
        by_kid[None] = keys  # a token without kid: any of them
        self._fitting = {
            (kid, alg): tuple([key for key in those if key.fits(alg)][:MAX_TRIES])
            for kid, those in by_kid.items()
            for alg in ALGORITHMS
        }
        self._kids = by_kid.keys()
        self.skipped = skipped

    def __iter__(self) -> Iterator[VerificationKey]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, kid: str) -> bool:
        return kid in self._kids

    def fitting(self, kid: str | None, alg: str) -> tuple[VerificationKey, ...]:
        """The keys that may have signed: of this kid (RFC 7517 §4.5), or, without kid, the first few that fit."""
        return self._fitting.get((kid, alg), ())


def read_key_set(document: bytes, previous: KeySet | None = None) -> KeySet:
    """The usable keys of a JWK set (RFC 7517 §5); a key that `previous` had already stays the same object.

    Raises ValueError when the document is no JWK set, or none of its keys can be used: an issuer that publishes
    nothing is at fault, and its keys of before go on.
    """
    try:
        members = json.loads(document)
    except ValueError as exc:  # UnicodeDecodeError among them
        raise ValueError("the key set is not JSON") from exc
    except RecursionError as exc:
        raise ValueError("the key set nests too deep") from exc
    listed = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError(f"the key set has no list `keys` of at most {MAX_KEYS}")
    known = {key.material: key for key in previous or ()}
    keys: list[VerificationKey] = []
    skipped: list[str] = []
    for position, jwk in enumerate(listed):
        try:
            key = VerificationKey(jwk if isinstance(jwk, dict) else {})
        except ValueError as why:
            skipped.append(f"keys[{position}]: {why}")
        else:
            keys.append(known.get(key.material, key))
    if not keys:
        raise ValueError("the key set has no usable key" + "".join(f"; {why}" for why in skipped[:3]))
    return KeySet(keys, tuple(skipped))


def _checked_size(jwk: dict[str, Any]) -> dict[str, Any]:
    """RSA moduli by their length, before a number is made of them (joserfc only warns below 2048)."""
    if jwk["kty"] == "RSA":
        modulus = int.from_bytes(urlsafe_b64decode(jwk["n"] + "=="))
        if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
            raise ValueError("RSA modulus")
    return jwk
