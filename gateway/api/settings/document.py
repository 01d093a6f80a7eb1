"""The configuration as a whole: what stands at the top of gateway.yaml, and the document with everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.api.config import Block, Duration, Name, NewPath, SecretField, file_path, is_off
from gateway.api.settings.consumer import ConsumerConfig, Network, TierConfig
from gateway.api.settings.issuer import HttpUrl, IssuerConfig
from gateway.api.settings.listen import Listen
from gateway.api.settings.route import RouteConfig
from gateway.api.settings.upstream import UpstreamConfig

STORE_SCHEMES = (
    *("memory", "sqlite", "redis", "rediss"),
    *("redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"),
)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _store_url(url: str) -> str:
    if (
        url in ("memory", "sqlite", "sqlite?sync=full", "sqlite?sync=normal")
        or urlsplit(url).scheme in STORE_SCHEMES[1:]
    ):
        return url
    raise ValueError(f"not a store; write one of {', '.join(STORE_SCHEMES)} (all but memory as URLs)")


StoreUrl = Annotated[str, AfterValidator(_store_url)]


class Proxy(Block):
    """What is believed of proxies in front of the gateway."""

    trusted: tuple[Network, ...] = ()
    """Their addresses; the caller is the rightmost address that is not among them."""
    header: Literal["none", "forwarded", "x-forwarded-for"] = "none"
    """The field they write the caller's address into."""
    client_cert_header: Literal["none", "client-cert", "xfcc"] = "none"
    """The field they write the caller's certificate into (RFC 9440, or Envoy's)."""

    @model_validator(mode="after")
    def _both(self) -> Proxy:
        if (self.header != "none" or self.client_cert_header != "none") and not self.trusted:
            raise ValueError("a header is believed from trusted proxies only; name them under `trusted`")
        return self


class Drain(Block):
    """How a gateway that ends lets go of its callers."""

    delay: Duration = 5.0
    """How long connections are still accepted after readiness fell."""
    timeout: Duration = 30.0
    """How long calls in flight may take after that."""


class Streams(Block):
    """Bounds of answers that go on and on."""

    max: Duration = 3600.0
    """Longest time of a stream."""
    reload_grace: Duration = 300.0
    """How long a stream may go on after its route changed."""


class Ops(Block):
    """The second port: health, metrics, admin."""

    host: str = "127.0.0.1"
    """Address to bind; beyond loopback a token is required."""
    port: Annotated[int, Field(ge=0, le=65535)] = 9090
    """Port to bind; 0 takes a free one and prints it."""
    token: SecretField | None = None
    """Bearer token for everything but health."""
    metrics: Literal["open", "token"] = "open"
    """Whether /metrics needs the token too."""
    ready_requires: tuple[str, ...] = ()
    """Names of stores and issuers without which the gateway is not ready. One that no route uses is not waited for."""

    @model_validator(mode="after")
    def _token_beyond_loopback(self) -> Ops:
        if self.token is None and self.host not in _LOOPBACK and not self.host.startswith("127."):
            raise ValueError(f"the ops port on {self.host} can be reached from other machines: set `token`")
        if self.token is None and self.metrics == "token":
            raise ValueError("metrics: token needs `token`")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            # RFC 6750 §2.1; what else a field may hold clients write in encodings of their own
            raise ValueError("`token` holds what no client can send: write it in printable ASCII")
        return self


class Log(Block):
    """What is logged, as JSON lines."""

    access: Annotated[
        str,
        BeforeValidator(lambda value: "off" if is_off(value) else value),
        file_path(unless=("stdout", "off").__contains__, exists=False),
    ] = "stdout"
    """Where the access log goes: stdout, off, or a file."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level of everything else, which goes to stderr."""
    query: bool = False
    """Whether the access log shows queries; they often hold secrets."""


class PoliciesEverywhere(Block):
    """`global`."""

    policies: Mapping[str, Any] = Field(default_factory=dict)
    """Always apply, beside a route's own; no route can remove them."""


class Defaults(Block):
    """`defaults`: what routes and upstreams have unless they say otherwise."""

    policies: Mapping[str, Any] = Field(default_factory=dict)
    """A route replaces each whole, by name, or says `NAME: off`."""
    upstream: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of upstreams; an upstream replaces each whole."""


def _listeners(value: object) -> object:
    if isinstance(value, int | str):
        raise ValueError("expected a listener, as in `{port: 8080}`, or a list of them")
    return [value] if isinstance(value, dict) else value


class Settings(Block):
    """Everything at the top that is not a route, upstream, consumer or issuer."""

    version: Literal[1]
    """Version of this format."""
    listen: Annotated[
        tuple[Listen, ...],
        BeforeValidator(_listeners, json_schema_input_type=Listen | tuple[Listen, ...]),
        Field(min_length=1),
    ] = (Listen(),)
    """Listeners of the data plane: one mapping or a list."""
    proxy: Proxy = Proxy()
    """Proxies in front."""
    drain: Drain = Drain()
    """How a gateway that ends lets go of its callers."""
    streams: Streams = Streams()
    """Bounds of endless answers."""
    public_url: HttpUrl | None = None
    """The address that callers use: in problems, documents and DPoP proofs."""
    problem_base: HttpUrl | None = None
    """Makes the `type` of problems a link: this and the code; urn:sluicegate:problem:CODE when left out."""
    ops: Ops = Ops()
    """The second port."""
    state: NewPath | None = None
    """Folder for what must last; else --state, $STATE_DIRECTORY, ./.sluicegate. Not inside the configuration folder."""
    stores: Mapping[Name, StoreUrl] = Field(default_factory=dict)
    """Stores by name: memory, sqlite:///PATH, redis://…"""
    store: str | None = None
    """The default store, by name or URL; memory, and SQLite under `state` for what must last, when left out."""
    log: Log = Log()
    """What is logged."""
    tiers: Mapping[Name, TierConfig] = Field(default_factory=dict)
    """What groups of consumers may use."""
    roles: Mapping[Name, Mapping[Name, tuple[str, ...] | Literal["all"]]] = Field(default_factory=dict)
    """What each role may call: methods by route, or all. HEAD follows GET."""
    global_: Annotated[PoliciesEverywhere, Field(alias="global")] = PoliciesEverywhere()
    """Policies that always apply."""
    defaults: Defaults = Defaults()
    """What routes and upstreams have unless they say otherwise."""


class Document(Settings):
    """The whole configuration, as it is written."""

    issuers: Mapping[Name, IssuerConfig] = Field(default_factory=dict)
    """Whose tokens are believed."""
    consumers: Mapping[Name, ConsumerConfig] = Field(default_factory=dict)
    """The partners."""
    upstreams: Mapping[Name, UpstreamConfig] = Field(default_factory=dict)
    """The systems behind the gateway."""
    routes: tuple[RouteConfig, ...] = ()
    """Which requests, and what becomes of them. More of them in routes/*.yaml."""
