"""The YAML block of the SOAP adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gateway.api.config import Block, Duration, SecretField


class UsernameToken(Block):
    """WS-Security UsernameToken Profile 1.1: who the gateway is to the backend."""

    username: str
    """The name."""
    password: SecretField
    """The password, by reference."""
    digest: bool = True
    """true: a digest of password, nonce and time is sent; false: the password itself, as some backends want it."""


class Signature(Block):
    """WS-Security X.509 signatures. Files are PEM, relative to this file."""

    cert: str | None = None
    """The certificate that goes out with what the gateway signs; its Body and Timestamp are signed."""
    key: str | None = None
    """Its private key."""
    verify: str | None = None
    """The certificate that answers must be signed with. Only what its signature covers is read."""


class Security(Block):
    """The wsse:Security header."""

    username_token: UsernameToken | None = None
    """Name and password."""
    timestamp: Duration | None = None
    """How long a message is good for; a Timestamp is sent when this is set, and one in an answer must be in time."""
    signature: Signature | None = None
    """Signing requests, checking answers."""


class Answer(Block):
    """What of the answer goes to the caller."""

    select: str | None = None
    """ELEMENT/PATH of the part to return; everything when left out."""


class Exposed(Block):
    """How the upstream's JSON API does one operation."""

    method: Literal["POST", "GET", "PUT", "PATCH", "DELETE"] = "POST"
    """The method."""
    path: str
    """The path, with placeholders for its segments: {body./order/number} is a member of the request's content."""
    query: Mapping[str, Any] = Field(default_factory=dict)
    """NAME: a placeholder or a literal. One without a value is left out; an array is written as several."""
    select: str | None = None
    """ELEMENT/PATH of the part of the request's content that is sent as the JSON body; all of it when left out."""
    into: str | None = None
    """ELEMENT/PATH in the answer's content where the upstream's JSON belongs; it is all of it when left out."""


class Listen(Block):
    """What SOAP clients may call. GET with ?wsdl gives them the WSDL with this route's address."""

    operations: Annotated[Mapping[str, Exposed], Field(min_length=1)]
    """OPERATION: how the upstream does it. Others of the WSDL are answered with a fault."""
    address: str | None = None
    """The URL that the served WSDL names; left out, `public_url` with this route's path, else what the caller asked."""


class SoapConfig(Block):
    """A JSON route in front of one operation of a WSDL; or, with `listen`, a SOAP service in front of a JSON API."""

    wsdl: str
    """The WSDL 1.1 file, relative to this file (a URL with `remote: true`)."""
    operation: str | None = None
    """The operation's name. Required, but for `listen`."""
    listen: Listen | None = None
    """The other direction: SOAP clients call this route, and its upstream is a JSON API."""
    service: str | None = None
    """The service; with `port` left out too, the first port that offers the operation over SOAP."""
    port: str | None = None
    """The port."""
    address: str | None = None
    """Path and query to call, instead of those of the port's soap:address; of a URL only these count."""
    request: Mapping[str, Any] | None = None
    """ELEMENT/PATH: a placeholder or a literal. Replaces mapping by name."""
    headers: Mapping[str, Any] = Field(default_factory=dict)
    """HEADER/PATH: a placeholder or a literal, for SOAP header blocks. Without it callers may send `$headers`."""
    response: Answer = Answer()
    """What to return."""
    faults: Mapping[str, Annotated[int, Field(ge=400, le=599)]] = Field(default_factory=dict)
    """Fault code (without prefix, subcodes appended) to status; the longest match wins. Client and Sender are 422, the rest 502."""
    fault_detail: Literal["hide", "pass"] = "hide"
    """pass: a fault's reason, and detail that the WSDL does not declare, go to the caller."""
    safe: bool = False
    """true: the operation changes nothing, so it may be retried, collapsed and cached."""
    numbers: Literal["string", "number"] = "string"
    """How xs:decimal is written in JSON."""
    unknown: Literal["reject", "drop"] = "reject"
    """Members that the schema does not know: 422, or left out."""
    strict_answers: bool = True
    """false: answers that are not quite by the schema are passed on as far as they can be read."""
    remote: bool = False
    """true: the WSDL and what it imports may be fetched over HTTP when the configuration is compiled."""
    attachments: Literal["multipart", "base64"] = "multipart"
    """How binary parts of an answer (MTOM, SwA) reach the caller: as parts of multipart/related, or inline."""
    addressing: bool = False
    """true: WS-Addressing headers are sent, and the answer must relate to them."""
    security: Security = Security()
    """WS-Security."""

    @model_validator(mode="after")
    def _one_direction(self) -> SoapConfig:
        if (self.operation is None) == (self.listen is None):
            raise ValueError("name exactly one of operation, listen")
        if self.listen is not None:
            alien = self.model_fields_set & {"request", "headers", "response", "address", "addressing", "security"}
            if alien:
                raise ValueError(f"{', '.join(sorted(alien))}: makes no sense with listen, where callers speak SOAP")
        return self
