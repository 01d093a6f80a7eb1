"""X.509 signatures: what the gateway signs verifies elsewhere; of an answer only what is signed is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.verifier import SignatureConfiguration, XMLVerifier

from adapters.soap.security.header import WSSE, WSU, Moment, security_header, timestamp
from adapters.soap.security.signature import Signer

from .calls import answered, built, complaints, problem_of, sent

NOW = datetime.now(UTC)
GOOD = '<n:GetOrderResponse xmlns:n="urn:example:orders:types"/>'
EVIL = '<n:GetOrderResponse xmlns:n="urn:example:orders:types"><n:order/></n:GetOrderResponse>'


def make_pair(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, age: timedelta = timedelta(days=1)
) -> tuple[bytes, bytes]:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backend")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - age)
        .not_valid_after(NOW - age + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


EC = make_pair(ec.generate_private_key(ec.SECP256R1()))
OTHER = make_pair(ec.generate_private_key(ec.SECP256R1()))
OLD = make_pair(ec.generate_private_key(ec.SECP256R1()), timedelta(days=90))
RSA = make_pair(rsa.generate_private_key(65537, 2048))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = Path(__file__).parent / "wsdl" / "orders"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name, pair in (("ec", EC), ("rsa", RSA), ("other", OTHER), ("old", OLD)):
        (tmp_path / f"{name}.crt").write_bytes(pair[0])
        (tmp_path / f"{name}.key").write_bytes(pair[1])
    return tmp_path


def config(**security: object) -> dict[str, object]:
    return {"wsdl": "orders.wsdl", "operation": "GetOrder", "security": security}


def signed_answer(pair: tuple[bytes, bytes] = EC, content: str = GOOD, moment: datetime = NOW) -> bytes:
    mark = Moment(moment, b"", "1")
    head = security_header(timestamp(mark, 60))
    envelope = f'<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Header>{head}</env:Header><env:Body{mark.body_id}>{content}</env:Body></env:Envelope>'
    return Signer(*pair).sign(envelope, "X509", mark.name("Body"), mark.name("Timestamp"))


@pytest.mark.parametrize("name", ["ec", "rsa"])
def test_what_is_sent_is_signed_body_and_timestamp(folder: Path, name: str) -> None:
    settings = config(timestamp="60s", signature={"cert": f"{name}.crt", "key": f"{name}.key"})
    assert complaints(folder, **settings) == []
    envelope = sent(built(folder, **settings), {"number": "<&>"}).body
    pem = (folder / f"{name}.crt").read_text()
    results = XMLVerifier().verify(envelope, x509_cert=pem, expect_config=SignatureConfiguration(expect_references=2))
    assert isinstance(results, list)
    assert [etree.QName(result.signed_xml).localname for result in results if result.signed_xml is not None] == [
        "Body",
        "Timestamp",
    ]


def test_a_key_of_another_certificate_is_a_finding(folder: Path) -> None:
    found = complaints(folder, **config(signature={"cert": "ec.crt", "key": "other.key"}))
    assert found == [("security.signature", "the key does not belong to the certificate")]


def test_a_signed_answer_is_believed(folder: Path) -> None:
    codec = built(folder, **config(timestamp="60s", signature={"verify": "ec.crt"}))
    assert answered(codec, signed_answer()).status == 200


def _wrapped() -> bytes:
    """The signed Body moved into a header, another one in its place."""
    root = etree.fromstring(signed_answer())
    header, body = root[0], root[1]
    etree.SubElement(header, "wrapper").append(body)
    root.append(etree.fromstring(f'<env:Body xmlns:env="http://schemas.xmlsoap.org/soap/envelope/">{EVIL}</env:Body>'))
    return etree.tostring(root)


def _wrapped_with_same_id() -> bytes:
    return _wrapped().replace(b"<env:Body>", f'<env:Body xmlns:wsu="{WSU}" wsu:Id="Body-1">'.encode())


def _second_signature_first() -> bytes:
    """A signature of a key of the attacker's own before the good one."""
    root = etree.fromstring(signed_answer(OTHER, EVIL))
    return etree.tostring(root)


def _unsigned() -> bytes:
    root = etree.fromstring(signed_answer())
    security = root.find(f".//{{{WSSE}}}Security")
    assert security is not None
    for child in list(security):
        security.remove(child)
    return etree.tostring(root)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(signed_answer().replace(GOOD.encode(), EVIL.encode()), id="changed"),
        pytest.param(_wrapped(), id="wrapped"),
        pytest.param(_wrapped_with_same_id(), id="wrapped-same-id"),
        pytest.param(_second_signature_first(), id="another-key"),
        pytest.param(_unsigned(), id="unsigned"),
        pytest.param(signed_answer(moment=NOW - timedelta(hours=2)), id="expired"),
        pytest.param(signed_answer(moment=NOW + timedelta(hours=2)), id="from-the-future"),
        pytest.param(
            f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{GOOD}</e:Body></e:Envelope>'.encode(),
            id="bare",
        ),
        pytest.param(signed_answer().replace(b"2001/04/xmlenc#sha256", b"2000/09/xmldsig#sha1"), id="weaker-digest"),
    ],
)
def test_answers_that_prove_nothing_are_502(folder: Path, answer: bytes) -> None:
    codec = built(folder, **config(timestamp="60s", signature={"verify": "ec.crt"}))
    assert problem_of(answered(codec, answer))["code"] == "upstream.bad-answer"


def test_a_certificate_past_its_time_proves_nothing(folder: Path) -> None:
    codec = built(folder, **config(signature={"verify": "old.crt"}))
    assert answered(codec, signed_answer(OLD)).status == 502


def test_faults_must_be_signed_as_well(folder: Path) -> None:
    codec = built(folder, **config(signature={"verify": "ec.crt"}))
    fault = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Client</faultcode></e:Fault></e:Body></e:Envelope>'
    assert problem_of(answered(codec, fault, 500))["code"] == "upstream.bad-answer"


def test_a_caller_cannot_spoil_the_signature_with_ids_of_their_own(folder: Path) -> None:
    (folder / "shapes.wsdl").write_bytes((Path(__file__).parent / "wsdl" / "shapes.wsdl").read_bytes())
    signature = {"cert": "ec.crt", "key": "ec.key"}
    codec = built(folder, wsdl="shapes.wsdl", operation="Open", security={"signature": signature})
    for name in ("Body", "X509", "Timestamp"):
        body = sent(codec, {"Id": 1, "@{urn:x}Id": name, "$any": [{"{urn:x}a": {"@Id": name}}]}).body
        XMLVerifier().verify(body, x509_cert=EC[0].decode())
