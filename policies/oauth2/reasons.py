"""Why a token is not believed: one code each for the log, one sentence each for operators. Callers learn neither."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Named in the access log as `oauth2.VALUE`; `explain` prints the sentence."""

    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    ENCRYPTED = "encrypted"
    BAD_JSON = "bad-json"
    BAD_HEADER = "bad-header"
    CRITICAL_HEADER = "critical-header"
    EMBEDDED_KEY = "embedded-key"
    WRONG_ALGORITHM = "wrong-algorithm"
    WRONG_TYPE = "wrong-type"
    WRONG_ISSUER = "wrong-issuer"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    BAD_CLAIMS = "bad-claims"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WRONG_AUDIENCE = "wrong-audience"
    NO_CLIENT = "no-client"
    INACTIVE = "inactive"
    REVOKED = "revoked"
    UNBOUND = "unbound"
    NO_CERTIFICATE = "no-certificate"
    WRONG_CERTIFICATE = "wrong-certificate"
    NO_PROOF = "no-proof"
    BAD_PROOF = "bad-proof"
    WRONG_PROOF = "wrong-proof"
    WRONG_TARGET = "wrong-target"
    OLD_PROOF = "old-proof"
    USED_PROOF = "used-proof"
    USE_NONCE = "use-dpop-nonce"

    @property
    def code(self) -> str:
        return f"oauth2.{self.value}"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Reason.TOO_LONG: "it is longer than 8 KiB",
    Reason.MALFORMED: "it is not three parts of base64url without padding, joined by dots",
    Reason.ENCRYPTED: "it has five parts, so it is encrypted (JWE); only signed tokens are read",
    Reason.BAD_JSON: "its header or payload is not one plain JSON object (UTF-8, no member twice, not deeper than 16)",
    Reason.BAD_HEADER: "its header lacks a usable alg, kid or typ",
    Reason.CRITICAL_HEADER: "its header demands an extension (crit, b64, zip) that is not supported",
    Reason.EMBEDDED_KEY: "its header brings a key or points at one (jwk, jku, x5c, x5u); keys come from the issuer only",
    Reason.WRONG_ALGORITHM: "its algorithm is not one of the issuer's `algorithms`",
    Reason.WRONG_TYPE: "its typ is not one of the issuer's `typ`",
    Reason.WRONG_ISSUER: "its iss is not that issuer",
    Reason.UNKNOWN_KEY: "the issuer publishes no key that fits its kid and algorithm",
    Reason.BAD_SIGNATURE: "its signature does not fit the issuer's key",
    Reason.BAD_CLAIMS: "exp, iss or aud is missing, or a registered claim has the wrong type",
    Reason.EXPIRED: "it has expired",
    Reason.NOT_YET_VALID: "its nbf or iat lies in the future",
    Reason.WRONG_AUDIENCE: "its aud does not hold the issuer's `audience`",
    Reason.NO_CLIENT: "the issuer's `consumer_claim` is missing in it",
    Reason.INACTIVE: "its issuer, asked by introspection, does not know it or no longer stands by it",
    Reason.REVOKED: "it was revoked through the operations port",
    Reason.UNBOUND: "it is not bound to its owner as the route demands (cnf.x5t#S256, cnf.jkt)",
    Reason.NO_CERTIFICATE: "it is bound to a client certificate, and none was shown",
    Reason.WRONG_CERTIFICATE: "it is bound to another client certificate",
    Reason.NO_PROOF: "it came without the one DPoP proof that it needs",
    Reason.BAD_PROOF: "its DPoP proof is malformed, or its signature is not good",
    Reason.WRONG_PROOF: "its DPoP proof is by another key, or for another token",
    Reason.WRONG_TARGET: "its DPoP proof is for another method or URL (htm, htu); see `public_url`",
    Reason.OLD_PROOF: "its DPoP proof is older than 5 minutes, or from the future",
    Reason.USED_PROOF: "its DPoP proof was used before",
    Reason.USE_NONCE: "its DPoP proof lacks a nonce of this gateway",
}
