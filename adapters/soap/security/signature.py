"""X.509 signatures over Body and Timestamp (WS-Security X.509 Token Profile 1.1), by signxml.

What is trusted of an answer is what a verified reference resolves to, compared with what is about to be read: a signed
Body that was moved aside for another one (signature wrapping) proves nothing.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature as BadSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from adapters.soap.codec.errors import Deviation
from adapters.soap.codec.parsing import parse
from adapters.soap.schema.model import split
from adapters.soap.security.header import BASE64, WSSE, WSU, X509

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_METHODS: Final = frozenset(
    (
        *(SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512),
        *(SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512),
    )
)
_DIGESTS: Final = frozenset((DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512))


class Signer:
    """Signs envelopes with one key. Raises ValueError when the PEM files are not a certificate and its key."""

    def __init__(self, certificate_pem: bytes, key_pem: bytes) -> None:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = load_pem_private_key(key_pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("the key must be RSA or EC")
        if key.public_key() != certificate.public_key():
            raise ValueError("the key does not belong to the certificate")
        self._key = key
        self._method = (
            SignatureMethod.RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else SignatureMethod.ECDSA_SHA256
        )
        self._certificate = b64encode(certificate.public_bytes(Encoding.DER)).decode()

    def sign(self, envelope: str, token_id: str, *references: str) -> bytes:
        """The envelope with a signature over the elements whose wsu:Id is named, inside its wsse:Security header."""
        root = parse(envelope.encode())
        security = root.find(f"{{*}}Header/{{{WSSE}}}Security")
        assert security is not None, "the header was written before"
        token = etree.SubElement(security, f"{{{WSSE}}}BinarySecurityToken", EncodingType=BASE64, ValueType=X509)
        token.set(f"{{{WSU}}}Id", token_id)
        token.text = self._certificate
        key_info = etree.Element(f"{{{_DS}}}KeyInfo", nsmap={"ds": _DS})
        holder = etree.SubElement(key_info, f"{{{WSSE}}}SecurityTokenReference", nsmap={"wsse": WSSE})
        etree.SubElement(holder, f"{{{WSSE}}}Reference", URI=f"#{token_id}", ValueType=X509)
        signer = XMLSigner(
            method=SignatureConstructionMethod.detached,
            signature_algorithm=self._method,
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        signature = signer.sign(
            root, key=self._key, key_info=key_info, reference_uri=[f"#{name}" for name in references]
        )
        security.append(signature)
        return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


class Verifier:
    """Checks answers against one certificate that is known beforehand; certificates inside a message prove nothing."""

    def __init__(self, certificate_pem: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)

    def verify(self, root: etree._Element, now: datetime) -> None:
        """Return when the Body, and a Timestamp if there is one, are signed. Raises Deviation."""
        namespace = split(str(root.tag))[0]
        configuration = SignatureConfiguration(
            location=f"./{{{namespace}}}Header/{{{WSSE}}}Security/",
            expect_references=False,
            signature_methods=_METHODS,
            digest_algorithms=_DIGESTS,
            verification_time=now,
        )
        try:
            results = XMLVerifier().verify(root, x509_cert=self._certificate, expect_config=configuration)
        except (SignXMLException, BadSignature, etree.LxmlError, ValueError, TypeError, AttributeError) as exc:
            raise Deviation("the answer's signature is missing or not valid", "Security") from exc
        found = results if isinstance(results, list) else [results]
        signed = {_canonical(result.signed_xml) for result in found if result.signed_xml is not None}
        body = root.find(f"{{{namespace}}}Body")
        if body is None or _canonical(body) not in signed:
            raise Deviation("the answer's signature does not cover its Body", "Body")
        stamp = root.find(f"{{{namespace}}}Header/{{{WSSE}}}Security/{{{WSU}}}Timestamp")
        if stamp is not None and _canonical(stamp) not in signed:
            raise Deviation("the answer's signature does not cover its Timestamp", "Timestamp")


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False)


def check_timestamp(root: etree._Element, now: datetime, skew_s: float = 300.0) -> None:
    """The answer must carry a Timestamp that is neither of the future nor past its end (BSP 1.1 R3203). Raises Deviation."""
    stamp = root.find(f"{{*}}Header/{{{WSSE}}}Security/{{{WSU}}}Timestamp")
    if stamp is None:
        raise Deviation("the answer has no Timestamp", "Security")
    created, expires = (_moment(stamp.findtext(f"{{{WSU}}}{name}")) for name in ("Created", "Expires"))
    if created is None or (created - now).total_seconds() > skew_s:
        raise Deviation("the answer's Timestamp is not of this time", "Timestamp")
    if expires is not None and (now - expires).total_seconds() > skew_s:
        raise Deviation("the answer's Timestamp has expired", "Timestamp")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
