"""`listen`: where the data plane accepts connections, and the bounds it holds callers to. Opens nothing itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from gateway.api.config import Block, Duration, FilePath, NewPath, Size

GRANIAN_MAX_HEADERS = 100  # hyper's fixed bound: one more is 431 before the application sees it

TlsVersion = Annotated[
    Literal["1.2", "1.3"],
    # unquoted, YAML reads 1.2 as a number; there is only one thing it can mean
    BeforeValidator(lambda value: str(value) if isinstance(value, float) else value),
]


class Certificate(Block):
    """One certificate with its key, and the names it answers for."""

    cert: FilePath
    """PEM file: the certificate, followed by its intermediates."""
    key: FilePath
    """PEM file with the private key, not encrypted."""
    hosts: tuple[str, ...] = ()
    """Server names (SNI) that get this certificate; the certificate's own names when left out."""


class ListenTls(Block):
    """TLS of a listener."""

    certificates: Annotated[tuple[Certificate, ...], Field(min_length=1)]
    """The first one also answers callers that send no or an unknown server name."""
    min_version: TlsVersion = "1.2"
    """The oldest protocol version spoken."""
    client_cert: Literal["none", "optional", "required"] = "none"
    """Whether callers are asked for a certificate; `optional` and `required` need `client_ca`."""
    client_ca: FilePath | None = None
    """PEM file with the authorities whose client certificates are believed."""
    client_crl: FilePath | None = None
    """PEM file with revocation lists of these authorities."""

    @model_validator(mode="after")
    def _client_certificates(self) -> ListenTls:
        if self.client_cert != "none" and self.client_ca is None:
            raise ValueError(f"client_cert: {self.client_cert} needs client_ca, the authorities to believe")
        return self


class ListenPath(Block):
    """How request targets are brought to their one normal form."""

    encoded_slash: Literal["keep", "refuse"] = "keep"
    """What becomes of %2F in a path: kept encoded, or refused with 400."""
    double_slash: Literal["merge", "keep", "refuse"] = "merge"
    """What becomes of // in a path."""


class Listen(Block):
    """One listener of the data plane."""

    host: str = "0.0.0.0"  # noqa: S104 - the data plane is there to be reached
    """Address to bind."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port to bind; 0 takes a free one and prints it."""
    server: Literal["auto", "granian", "uvicorn"] = "auto"
    """The HTTP server; auto is Granian, or uvicorn where the listener needs it (client certificates, several certificates)."""
    protocols: Annotated[tuple[Literal["http1", "http2"], ...], Field(min_length=1)] = ("http1",)
    """Protocols spoken to callers."""
    unix: NewPath | None = None
    """A Unix socket to listen on, in place of host and port."""
    redirect: Literal["https"] | None = None
    """https: answer everything on this listener with a redirect to https."""
    tls: ListenTls | None = None
    """Certificates; plain HTTP when left out."""
    max_header: Size = 16 * 1024
    """Longest head of a request, in total; 431 beyond."""
    max_headers: Annotated[int, Field(ge=1)] = 100
    """Most header fields of a request; 431 beyond."""
    header_timeout: Duration = 10.0
    """Longest time for a request's head to arrive; then 408 or a closed connection."""
    body_timeout: Duration = 30.0
    """Longest time without a byte while a request's body arrives; then 408."""
    keep_alive: Duration = 75.0
    """How long an idle connection is kept."""
    max_connections: Annotated[int, Field(ge=1)] = 10000
    """Most connections at a time, on the machine."""
    path: ListenPath = ListenPath()
    """Normal form of request targets."""

    @model_validator(mode="after")
    def _redirect_is_plain(self) -> Listen:
        if self.redirect is not None and self.tls is not None:
            raise ValueError("redirect: https belongs on a listener without tls")
        return self

    @model_validator(mode="after")
    def _server_can(self) -> Listen:
        reason = self.needs_uvicorn()
        if self.server == "granian" and reason is not None:
            raise ValueError(f"{reason} cannot be served by granian; use server: uvicorn, or auto, which chooses it")
        return self

    def needs_uvicorn(self) -> str | None:
        """Why Granian cannot serve this listener, or None when it can."""
        tls = self.tls
        if tls is not None and tls.client_cert != "none":
            return "client certificates"
        if tls is not None and len(tls.certificates) > 1:
            return "several certificates"
        if self.max_headers > GRANIAN_MAX_HEADERS:
            return f"more than {GRANIAN_MAX_HEADERS} header fields"
        return None
