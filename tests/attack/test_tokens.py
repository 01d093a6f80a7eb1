"""Tokens that must not be believed. Each is 401, says nothing of why, and shows up in the log by its reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from gateway.api.exchange import Principal
from gateway.api.messages import Response
from gateway.api.policy import Authenticator
from gateway.testing.tokens import TokenDesk, identify_now, shared_keys
from policies.oauth2 import POLICY

SECRET_MARK = "do-not-show-7f3a"  # in every forged token's claims: must appear in no answer and no log code


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Forger:
    """Makes tokens of every kind, with the issuer's own keys where only the form is to be wrong."""

    def __init__(self, desk: TokenDesk) -> None:
        self.desk = desk
        self.rsa = desk.issuer.keys["RS256"]
        self.ec = desk.issuer.keys["ES256"]
        self.now = desk.clock.time()

    def claims(self, **changed: Any) -> dict[str, Any]:
        claims = {
            "iss": "https://idp.example",
            "aud": "orders",
            "sub": "acme-prod",
            "client_id": "acme-prod",
            "iat": self.now,
            "exp": self.now + 300,
            "mark": SECRET_MARK,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def header(self, alg: str = "RS256", **changed: Any) -> dict[str, Any]:
        header = {"alg": alg, "typ": "at+jwt", "kid": (self.ec if alg.startswith("E") else self.rsa).kid, **changed}
        return {name: value for name, value in header.items() if value is not ...}

    def raw(self, header: bytes | dict[str, Any], payload: bytes | dict[str, Any], alg: str = "RS256") -> str:
        """Signed properly over whatever octets are given."""
        head = header if isinstance(header, bytes) else json.dumps(header).encode()
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.sign(f"{b64(head)}.{b64(body)}", alg)

    def sign(self, signed: str, alg: str = "RS256") -> str:
        key = self.ec if alg.startswith("E") else self.rsa
        return f"{signed}.{b64(JWSRegistry.algorithms[alg].sign(signed.encode(), key))}"

    def good(self, alg: str = "RS256", **claims: Any) -> str:
        return self.raw(self.header(alg), self.claims(**claims), alg)

    def headed(self, alg: str = "RS256", **header: Any) -> str:
        return self.raw(self.header(alg, **header), self.claims(), alg)

    def by(self, key: Any, alg: str, **header: Any) -> str:
        """Signed by a key of the attacker's."""
        return jwt.encode(self.header(alg, **header), self.claims(), key, [alg])

    def unsigned(self, alg: Any, signature: str = "") -> str:
        head = b64(json.dumps(self.header() | {"alg": alg}).encode())
        return f"{head}.{b64(json.dumps(self.claims()).encode())}.{signature}"

    def hmac_with(self, secret: bytes, alg: str = "HS256") -> str:
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[alg]
        signed = f"{b64(json.dumps(self.header() | {'alg': alg}).encode())}.{b64(json.dumps(self.claims()).encode())}"
        return f"{signed}.{b64(hmac.new(secret, signed.encode(), digest).digest())}"

    def cut(self, part: int, change: Callable[[str], str], alg: str = "RS256") -> str:
        """A good token with one of its three parts changed after it was signed."""
        parts = self.good(alg).split(".")
        parts[part] = change(parts[part])
        return ".".join(parts)

    def payload_text(self, text: str) -> str:
        """A properly signed payload written by hand: TEXT stands inside the object, after the usual members."""
        whole = json.dumps(self.claims())[:-1] + ", " + text + "}"
        return self.raw(self.header(), whole.encode("utf-8", "surrogatepass"))

    def es_signature(self, signature: bytes) -> str:
        signed = self.good("ES256").rpartition(".")[0]
        return f"{signed}.{b64(signature)}"


_ATTACKER_RSA = RSAKey.generate_key(2048)
_ATTACKER_EC = ECKey.generate_key("P-256")
_ATTACKER_ED = OKPKey.generate_key("Ed25519")
N_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def flip(part: str) -> str:
    return ("B" if part[0] == "A" else "A") + part[1:]


def spelled_otherwise(part: str) -> str:
    """The same octets, with the unused bits of the last character set (RFC 4648 §3.5)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4, "a part of whole groups has no unused bits"
    return part[:-1] + alphabet[alphabet.index(part[-1]) + 1]


ATTACKS: dict[str, tuple[str, Callable[[Forger], str]]] = {
    # no signature at all
    "alg none": ("wrong-algorithm", lambda f: f.unsigned("none", "AA")),
    "alg none, empty signature": ("malformed", lambda f: f.unsigned("none")),
    "alg None": ("wrong-algorithm", lambda f: f.unsigned("None", "AA")),
    "alg NONE": ("wrong-algorithm", lambda f: f.unsigned("NONE", "AA")),
    "alg nOnE": ("wrong-algorithm", lambda f: f.unsigned("nOnE", "AA")),
    "alg empty": ("wrong-algorithm", lambda f: f.unsigned("", "AA")),
    "alg null": ("bad-header", lambda f: f.unsigned(None, "AA")),
    "alg number": ("bad-header", lambda f: f.unsigned(256, "AA")),
    "alg list": ("bad-header", lambda f: f.unsigned(["RS256"], "AA")),
    "alg object": ("bad-header", lambda f: f.unsigned({"RS256": 1}, "AA")),
    "alg missing": ("bad-header", lambda f: f.raw({"typ": "at+jwt", "kid": f.rsa.kid}, f.claims())),
    "alg with a blank": ("wrong-algorithm", lambda f: f.unsigned("RS256 ", "AA")),
    "alg in lower case": ("wrong-algorithm", lambda f: f.raw(f.header() | {"alg": "rs256"}, f.claims())),
    "alg of encryption": ("wrong-algorithm", lambda f: f.unsigned("RSA-OAEP", "AA")),
    "alg unheard of": ("wrong-algorithm", lambda f: f.unsigned("RS1", "AA")),
    "signature missing": ("malformed", lambda f: f.good().rpartition(".")[0]),
    "signature empty": ("malformed", lambda f: f.cut(2, lambda part: "")),
    # algorithm confusion
    "HS256 over the public key, PEM": ("wrong-algorithm", lambda f: f.hmac_with(f.rsa.as_pem(private=False))),
    "HS256 over the public key, DER": ("wrong-algorithm", lambda f: f.hmac_with(f.rsa.as_der(private=False))),
    "HS256 over the modulus": (
        "wrong-algorithm",
        lambda f: f.hmac_with(str(f.rsa.as_dict(private=False)["n"]).encode()),
    ),
    "HS256 over the JWK": ("wrong-algorithm", lambda f: f.hmac_with(json.dumps(f.rsa.as_dict(private=False)).encode())),
    "HS384 over the public key": ("wrong-algorithm", lambda f: f.hmac_with(f.rsa.as_pem(private=False), "HS384")),
    "HS512 over the public key": ("wrong-algorithm", lambda f: f.hmac_with(f.rsa.as_pem(private=False), "HS512")),
    "HS256 with an empty secret": ("wrong-algorithm", lambda f: f.hmac_with(b"")),
    "HS256 with a common secret": ("wrong-algorithm", lambda f: f.hmac_with(b"secret")),
    "algorithm that is not configured": (
        "wrong-algorithm",
        lambda f: f.raw(f.header() | {"alg": "RS512"}, f.claims(), "RS512"),
    ),
    "PS256 with a key that is for RS256": (
        "unknown-key",
        lambda f: f.raw(f.header() | {"alg": "PS256"}, f.claims(), "PS256"),
    ),
    "ES256 named over an RSA key": ("unknown-key", lambda f: f.raw(f.header() | {"alg": "ES256"}, f.claims())),
    "RS256 named over an EC key": (
        "unknown-key",
        lambda f: f.raw(f.header("ES256") | {"alg": "RS256"}, f.claims(), "ES256"),
    ),
    "EdDSA named over an RSA key": ("unknown-key", lambda f: f.raw(f.header() | {"alg": "EdDSA"}, f.claims())),
    # keys the token brings along
    "embedded jwk, RSA": (
        "embedded-key",
        lambda f: f.by(_ATTACKER_RSA, "RS256", jwk=_ATTACKER_RSA.as_dict(private=False)),
    ),
    "embedded jwk, RSA, without kid": (
        "embedded-key",
        lambda f: f.by(_ATTACKER_RSA, "RS256", kid=..., jwk=_ATTACKER_RSA.as_dict(private=False)),
    ),
    "embedded jwk, EC": (
        "embedded-key",
        lambda f: f.by(_ATTACKER_EC, "ES256", jwk=_ATTACKER_EC.as_dict(private=False)),
    ),
    "embedded jwk of the issuer itself": ("embedded-key", lambda f: f.headed(jwk=f.rsa.as_dict(private=False))),
    "jku": ("embedded-key", lambda f: f.headed(jku="https://evil.example/jwks.json")),
    "jku of the issuer": ("embedded-key", lambda f: f.headed(jku="https://idp.example/jwks.json")),
    "x5u": ("embedded-key", lambda f: f.headed(x5u="https://evil.example/cert.pem")),
    "x5c": ("embedded-key", lambda f: f.headed(x5c=["MIIB"])),
    "jwk null": ("embedded-key", lambda f: f.headed(jwk=None)),
    # headers that change how a token is read
    "crit of an unknown extension": ("critical-header", lambda f: f.headed(crit=["exp"], exp=1)),
    "crit empty": ("critical-header", lambda f: f.headed(crit=[])),
    "crit null": ("critical-header", lambda f: f.headed(crit=None)),
    "crit b64": ("critical-header", lambda f: f.headed(crit=["b64"], b64=False)),
    "b64 without crit": ("critical-header", lambda f: f.headed(b64=False)),
    "zip": ("critical-header", lambda f: f.headed(zip="DEF")),
    "kid that is a number": ("bad-header", lambda f: f.headed(kid=1)),
    "kid that is a list": ("bad-header", lambda f: f.headed(kid=["a"])),
    "kid unknown": ("unknown-key", lambda f: f.headed(kid="nobody")),
    "kid empty": ("unknown-key", lambda f: f.headed(kid="")),
    "kid with a path": ("unknown-key", lambda f: f.headed(kid="../../../../dev/null")),
    "kid with SQL": ("unknown-key", lambda f: f.headed(kid="x' UNION SELECT 'key")),
    "kid with NUL": ("unknown-key", lambda f: f.headed(kid="a\x00b")),
    "kid of another algorithm's key": ("unknown-key", lambda f: f.headed(kid=f.ec.kid)),
    "typ of an ID token where it is not taken": ("wrong-type", lambda f: f.headed(typ="id+jwt")),
    "typ of a logout token": ("wrong-type", lambda f: f.headed(typ="logout+jwt")),
    "typ of a DPoP proof": ("wrong-type", lambda f: f.headed(typ="dpop+jwt")),
    "typ missing": ("wrong-type", lambda f: f.headed(typ=...)),
    "typ that is a number": ("bad-header", lambda f: f.headed(typ=1)),
    # signatures
    "signed by another RSA key": ("bad-signature", lambda f: f.by(_ATTACKER_RSA, "RS256")),
    "signed by another EC key": ("bad-signature", lambda f: f.by(_ATTACKER_EC, "ES256")),
    "signed by another RSA key, without kid": ("bad-signature", lambda f: f.by(_ATTACKER_RSA, "RS256", kid=...)),
    "signed by an Ed25519 key nobody published": (
        "unknown-key",
        lambda f: jwt.encode(f.header() | {"alg": "Ed25519"}, f.claims(), _ATTACKER_ED, ["Ed25519"]),
    ),
    "signature changed": ("bad-signature", lambda f: f.cut(2, flip)),
    "signature cut short": ("bad-signature", lambda f: f"{f.good().rpartition('.')[0]}.{b64(bytes(253))}"),
    "signature lengthened": ("bad-signature", lambda f: f"{f.good().rpartition('.')[0]}.{b64(bytes(257))}"),
    "signature of zeros, RSA": ("bad-signature", lambda f: f"{f.good().rpartition('.')[0]}.{b64(bytes(256))}"),
    "signature of ones, RSA": ("bad-signature", lambda f: f"{f.good().rpartition('.')[0]}.{b64(bytes([255]) * 256)}"),
    "signature of another token": (
        "bad-signature",
        lambda f: f"{f.good().rpartition('.')[0]}.{f.good(sub='other').rpartition('.')[2]}",
    ),
    "payload changed": (
        "bad-signature",
        lambda f: f.cut(1, lambda part: b64(json.dumps(f.claims(client_id="rocket")).encode())),
    ),
    "header changed": ("bad-signature", lambda f: f.cut(0, lambda part: b64(json.dumps(f.header(extra=1)).encode()))),
    "ECDSA r = s = 0": ("bad-signature", lambda f: f.es_signature(bytes(64))),
    "ECDSA r = 0": ("bad-signature", lambda f: f.es_signature(bytes(32) + b"\x01" * 32)),
    "ECDSA s = 0": ("bad-signature", lambda f: f.es_signature(b"\x01" * 32 + bytes(32))),
    "ECDSA r = s = n": ("bad-signature", lambda f: f.es_signature(N_P256.to_bytes(32) * 2)),
    "ECDSA r = s = 2^256 - 1": ("bad-signature", lambda f: f.es_signature(b"\xff" * 64)),
    "ECDSA one octet": ("bad-signature", lambda f: f.es_signature(b"\x00")),
    "ECDSA 63 octets": ("bad-signature", lambda f: f.es_signature(b"\x01" * 63)),
    "ECDSA in DER": ("bad-signature", lambda f: f.es_signature(bytes.fromhex("3006020101020101"))),
    "ECDSA of zero length": ("malformed", lambda f: f.cut(2, lambda part: "", "ES256")),
    # the form
    "empty": ("malformed", lambda f: ""),
    "one part": ("malformed", lambda f: "abcd"),
    "two dots and nothing": ("malformed", lambda f: ".."),
    "four parts": ("malformed", lambda f: f.good() + ".AAAA"),
    "encrypted (five parts)": ("encrypted", lambda f: "eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA"),
    "JSON serialisation": ("malformed", lambda f: '{"payload":"e30","signatures":[]}'),
    "padding": ("malformed", lambda f: f.cut(2, lambda part: part + "==")),
    "standard alphabet +": ("malformed", lambda f: f.cut(2, lambda part: "+" + part[1:])),
    "standard alphabet /": ("malformed", lambda f: f.cut(1, lambda part: "/" + part[1:])),
    "a blank inside": ("malformed", lambda f: f.cut(1, lambda part: part[:8] + " " + part[8:])),
    "a tab inside": ("malformed", lambda f: f.cut(1, lambda part: part[:8] + "\t" + part[8:])),
    "a character beyond ASCII": ("malformed", lambda f: f.cut(1, lambda part: "é" + part[1:])),
    "a comma and a second token": ("malformed", lambda f: f"{f.good()}, Bearer {f.good()}"),
    "base64 of an impossible length": (
        "malformed",
        lambda f: f.cut(2, lambda part: part[: len(part) // 4 * 4 + 1] if len(part) % 4 else part + "A"),
    ),
    "base64 with unused bits set": ("malformed", lambda f: f.cut(2, spelled_otherwise)),
    "oversized": ("too-long", lambda f: f.good(filler="x" * 8192)),
    "oversized garbage": ("too-long", lambda f: "A" * 15_000),
    # JSON
    "header is not JSON": ("bad-json", lambda f: f.raw(b"{", f.claims())),
    "header is a list": ("bad-json", lambda f: f.raw(b"[]", f.claims())),
    "header names alg twice": ("bad-json", lambda f: f.raw(b'{"alg":"none","alg":"RS256","typ":"JWT"}', f.claims())),
    "header names kid twice": (
        "bad-json",
        lambda f: f.raw(b'{"alg":"RS256","typ":"JWT","kid":"a","kid":"b"}', f.claims()),
    ),
    "header in UTF-16": ("bad-json", lambda f: f.raw(json.dumps(f.header()).encode("utf-16"), f.claims())),
    "header with a byte order mark": (
        "bad-json",
        lambda f: f.raw(b"\xef\xbb\xbf" + json.dumps(f.header()).encode(), f.claims()),
    ),
    "payload is not JSON": ("bad-json", lambda f: f.raw(f.header(), b"sub=acme")),
    "payload is a list": ("bad-json", lambda f: f.raw(f.header(), b"[1]")),
    "payload is null": ("bad-json", lambda f: f.raw(f.header(), b"null")),
    "payload with a tail": ("bad-json", lambda f: f.raw(f.header(), json.dumps(f.claims()).encode() + b"{}")),
    "payload not UTF-8": (
        "bad-json",
        lambda f: f.raw(f.header(), json.dumps(f.claims()).encode()[:-1] + b',"x":"\xff"}'),
    ),
    "client_id twice": ("bad-json", lambda f: f.payload_text('"client_id": "rocket"')),
    "exp twice": ("bad-json", lambda f: f.payload_text('"exp": 9999999999')),
    "a nested member twice": (
        "bad-json",
        lambda f: f.payload_text('"realm_access": {"roles": [], "roles": ["admin"]}'),
    ),
    "a member twice, once escaped": ("bad-json", lambda f: f.payload_text('"client\\u005fid": "rocket"')),
    "deep lists": ("bad-json", lambda f: f.payload_text('"deep": ' + "[" * 2000 + "]" * 2000)),
    "deep objects": ("bad-json", lambda f: f.payload_text('"deep": ' + '{"a":' * 600 + "1" + "}" * 600)),
    "unclosed lists": ("bad-json", lambda f: f.raw(f.header(), b"[" * 3000)),
    "NaN": ("bad-json", lambda f: f.payload_text('"x": NaN')),
    "Infinity": ("bad-json", lambda f: f.payload_text('"x": -Infinity')),
    "half a surrogate pair": ("bad-json", lambda f: f.payload_text('"x": "\\ud800"')),
    "a number of 5,000 digits": ("bad-json", lambda f: f.payload_text('"x": ' + "9" * 5000)),
    # claims
    "expired": ("expired", lambda f: f.good(exp=f.now - 31)),
    "expired long ago": ("expired", lambda f: f.good(exp=0)),
    "exp negative": ("expired", lambda f: f.good(exp=-1)),
    "exp missing": ("bad-claims", lambda f: f.good(exp=...)),
    "exp null": ("bad-claims", lambda f: f.good(exp=None)),
    "exp text": ("bad-claims", lambda f: f.good(exp=str(f.now + 300))),
    "exp true": ("bad-claims", lambda f: f.good(exp=True)),
    "exp list": ("bad-claims", lambda f: f.good(exp=[f.now + 300])),
    "exp without end": (
        "bad-claims",
        lambda f: f.raw(f.header(), json.dumps(f.claims(exp=12345)).replace("12345", "1e400").encode()),
    ),
    "exp huge": ("bad-claims", lambda f: f.good(exp=10**30)),
    "nbf in the future": ("not-yet-valid", lambda f: f.good(nbf=f.now + 31)),
    "nbf text": ("bad-claims", lambda f: f.good(nbf="soon")),
    "nbf null": ("bad-claims", lambda f: f.good(nbf=None)),
    "iat in the future": ("not-yet-valid", lambda f: f.good(iat=f.now + 31)),
    "iat text": ("bad-claims", lambda f: f.good(iat="now")),
    "iss of another": ("wrong-issuer", lambda f: f.good(iss="https://evil.example")),
    "iss missing": ("wrong-issuer", lambda f: f.good(iss=...)),
    "iss with a slash more": ("wrong-issuer", lambda f: f.good(iss="https://idp.example/")),
    "iss in upper case": ("wrong-issuer", lambda f: f.good(iss="HTTPS://IDP.EXAMPLE")),
    "iss that is a list": ("wrong-issuer", lambda f: f.good(iss=["https://idp.example"])),
    "aud of another": ("wrong-audience", lambda f: f.good(aud="billing")),
    "aud list of others": ("wrong-audience", lambda f: f.good(aud=["billing", "crm"])),
    "aud with ours as a part": ("wrong-audience", lambda f: f.good(aud="orders-admin")),
    "aud missing": ("bad-claims", lambda f: f.good(aud=...)),
    "aud empty list": ("bad-claims", lambda f: f.good(aud=[])),
    "aud number": ("bad-claims", lambda f: f.good(aud=1)),
    "aud object": ("bad-claims", lambda f: f.good(aud={"orders": True})),
    "aud list with a number": ("bad-claims", lambda f: f.good(aud=["orders", 1])),
    "client missing": ("no-client", lambda f: f.good(client_id=...)),
    "client empty": ("no-client", lambda f: f.good(client_id="")),
    "client that is a list": ("no-client", lambda f: f.good(client_id=["acme-prod"])),
    "client that is an object": ("no-client", lambda f: f.good(client_id={"acme-prod": 1})),
}


@pytest.fixture(scope="module")
def desk() -> TokenDesk:
    return TokenDesk()


@pytest.fixture(scope="module")
def authenticator(desk: TokenDesk) -> Authenticator:
    built = POLICY.build(POLICY.config(issuer="partners"), desk.scope)
    assert isinstance(built, Authenticator)
    believed = identify_now(built, desk.exchange(Forger(desk).good()))
    assert isinstance(believed, Principal), (
        "the forger's untouched token must be good, or no attack below shows anything"
    )
    return built


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_tells_nothing(name: str, desk: TokenDesk, authenticator: Authenticator) -> None:
    reason, forge = ATTACKS[name]
    token = forge(Forger(desk))
    exchange = desk.exchange(token)

    answer = identify_now(authenticator, exchange)

    assert isinstance(answer, Response)
    assert answer.status == 401
    assert answer.headers.get(b"www-authenticate") == b'Bearer realm="sluicegate", error="invalid_token"'
    assert f"oauth2.{reason}" in exchange.codes
    assert isinstance(answer.body, bytes)
    problem = json.loads(answer.body)
    assert problem["code"] == ("oauth2.expired" if reason == "expired" else "oauth2.invalid-token")
    told = answer.body.decode() + repr(answer.headers) + " ".join(exchange.codes)
    assert SECRET_MARK not in told
    assert all(part not in told for part in token.split(".") if len(part) > 8)


def test_the_table_is_as_long_as_promised() -> None:
    assert len(ATTACKS) >= 80


@pytest.mark.parametrize(
    "key",
    [
        pytest.param({"kty": "RSA", "n": "short", "e": "AQAB"}, id="an RSA modulus of a few bits"),
        pytest.param({"kty": "RSA", "n": b64((1 << 1023).to_bytes(128)), "e": "AQAB"}, id="RSA of 1024 bits"),
        pytest.param(
            {"kty": "RSA", "n": b64(bytes(128) + b"\xff" * 128), "e": "AQAB"}, id="RSA of 1024 bits behind zeros"
        ),
        pytest.param({"kty": "RSA", "n": b64(b"\xff" * 2048), "e": "AQAB"}, id="RSA of 16384 bits"),
        pytest.param({"kty": "RSA", "n": b64(b"\xff" * 256), "e": "AQ"}, id="RSA with exponent 1"),
        pytest.param(
            {"kty": "EC", "crv": "P-256", "x": b64(b"\x01" * 32), "y": b64(b"\x01" * 32)}, id="a point off the curve"
        ),
        pytest.param({"kty": "EC", "crv": "P-256", "x": b64(bytes(32)), "y": b64(bytes(32))}, id="the point at zero"),
        pytest.param({"kty": "EC", "crv": "secp192r1", "x": "AQ", "y": "AQ"}, id="a weak curve"),
        pytest.param({"kty": "oct", "k": b64(b"secret")}, id="a shared secret"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": b64(b"\x01" * 32)}, id="a key for agreement"),
        pytest.param({"kty": ["RSA"]}, id="a kty that is a list"),
        pytest.param({"kty": "RSA", "n": 1, "e": 2}, id="numbers where text belongs"),
        pytest.param("RSA", id="no object"),
        pytest.param({**shared_keys()["RS256"].as_dict(private=False), "use": "enc"}, id="a key for encryption"),
        pytest.param(
            {**shared_keys()["RS256"].as_dict(private=False), "key_ops": ["encrypt"]}, id="operations without verify"
        ),
        pytest.param({**shared_keys()["RS256"].as_dict(private=False), "kid": 7}, id="a kid that is a number"),
        pytest.param(
            {**shared_keys()["RS256"].as_dict(private=False), "alg": "RS512"}, id="a key for another algorithm"
        ),
    ],
)
def test_a_published_key_that_may_not_verify_verifies_nothing(key: object) -> None:
    desk = TokenDesk()
    good_key = {**desk.issuer.keys["ES256"].as_dict(private=False)}
    desk.documents["/jwks.json"] = {"keys": [key, good_key]}
    authenticator = POLICY.build(POLICY.config(issuer="partners"), desk.scope)
    forger = Forger(desk)

    refused = identify_now(authenticator, desk.exchange(forger.good("RS256")))
    believed = identify_now(authenticator, desk.exchange(forger.good("ES256")))

    assert isinstance(refused, Response)
    assert refused.status == 401
    assert isinstance(believed, Principal), "one bad key must not take the good ones along"


def test_a_shared_secret_in_the_key_set_is_no_way_in() -> None:
    desk = TokenDesk()
    secret = OctKey.import_key(b"a shared secret of thirty-two oct", {"kid": "shared"})
    desk.documents["/jwks.json"] = {"keys": [secret.as_dict(), *desk.issuer.jwks()["keys"]]}
    authenticator = POLICY.build(POLICY.config(issuer="partners"), desk.scope)
    forger = Forger(desk)
    token = jwt.encode({"alg": "HS256", "kid": "shared", "typ": "at+jwt"}, forger.claims(), secret, ["HS256"])

    answer = identify_now(authenticator, desk.exchange(token))

    assert isinstance(answer, Response)
    assert answer.status == 401


def test_two_authorization_fields_are_refused_because_the_upstream_may_believe_the_other() -> None:
    desk = TokenDesk()
    authenticator = POLICY.build(POLICY.config(issuer="partners"), desk.scope)
    good = Forger(desk).good()
    exchange = desk.exchange(good, [("Authorization", "Basic YWRtaW46YWRtaW4=")])

    answer = identify_now(authenticator, exchange)

    assert isinstance(answer, Response)
    assert answer.status == 400
    assert exchange.codes == ["oauth2.repeated"]
