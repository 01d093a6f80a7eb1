"""`upstreams`: the systems behind the gateway, how they are reached and how they are judged. Sends nothing itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.api.config import Block, Duration, FilePath, Share, off_or, shorthand
from gateway.api.placeholder import REQUEST_ROOTS, Template, compile_template
from gateway.api.settings.upstream_auth import UpstreamAuth

Kind = Literal["http", "tcp", "file"]
_KINDS: Mapping[str, Kind] = {"http": "http", "https": "http", "tcp": "tcp", "tls": "tcp", "file": "file"}
SCHEMES = tuple(_KINDS)


_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")  # RFC 3986 §3.2.2 allows more; no name that is looked up has it
_HOST_FIELD = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def _check_host(name: str) -> None:
    """A name or an address; names beyond ASCII are sent as IDNA has them. Raises ValueError."""
    if ":" in name:
        return
    try:
        plain = name.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    if not _HOST_NAME.fullmatch(plain):
        raise ValueError(f"'{name}' is no host; write a name, as in api.example, or an address")


def _host_choice(value: str) -> str:
    if not _HOST_FIELD.fullmatch(value):  # RFC 9110 §7.2; what the field cannot carry is never sent
        raise ValueError("write upstream, client, or the Host to send, as in api.example or api.example:8443")
    return value


def _target_url(url: str) -> str:
    """A target is an origin: scheme, host and port, nothing more (file:// names a folder)."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError("not a target; write a URL that begins with " + ", ".join(f"{s}://" for s in SCHEMES))
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or parts.query or parts.fragment:
            raise ValueError("a folder is written with its whole path, as in file:///var/spool/orders")
        return url
    if not parts.hostname:
        raise ValueError("the URL names no host")
    _check_host(parts.hostname)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the URL's port is not a number up to 65535") from None
    if port is None and parts.scheme in ("tcp", "tls"):
        raise ValueError(f"a {parts.scheme}:// target needs a port")
    if parts.username is not None:
        raise ValueError("no credentials in a target's URL; use the upstream's `auth`")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("a target is an origin without path or query; use the route's `rewrite` for paths")
    return url.rstrip("/")


class Target(Block):
    """One address of an upstream."""

    url: Annotated[str, AfterValidator(_target_url)]
    """http://, https://, tcp:// or tls:// with host and port, or file:// with a folder."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Its share of the calls, relative to the other targets."""


class Connections(Block):
    """The pool of connections to an upstream."""

    max: Annotated[int, Field(ge=1)] = 256
    """Most connections to one target, on the machine; calls beyond wait for a free one."""
    idle: Duration = 60.0
    """How long an unused connection is kept."""


class UpstreamTimeout(Block):
    """Bounds of one call. A bare duration is `first_byte`."""

    connect: Duration = 1.0
    """Longest time to connect, TLS handshake included."""
    first_byte: Duration = 10.0
    """Longest time from the request to the head of its answer."""
    idle: Duration = 30.0
    """Longest time without a byte while an answer's body arrives."""


class Dns(Block):
    """Name look-ups."""

    refresh: Duration = 30.0
    """How often the names of the targets are looked up again."""


class UpstreamTls(Block):
    """TLS towards https:// and tls:// targets."""

    ca: FilePath | None = None
    """PEM file with the authorities to believe; the system's when left out."""
    cert: FilePath | None = None
    """PEM file with the client certificate to present."""
    key: FilePath | None = None
    """PEM file with the key of `cert`."""
    server_name: str | None = None
    """Name to ask for (SNI) and to verify; the target's host when left out."""
    verify: bool = True
    """false believes any certificate: for tests only."""

    @model_validator(mode="after")
    def _pair(self) -> UpstreamTls:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together; one of them is missing")
        return self


def _expect(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and not re.fullmatch(r"[1-5]\d\d(-[1-5]\d\d)?", value):
        raise ValueError("not a status or a range of statuses; write 200 or 200-399")
    return value


class Health(Block):
    """Active health checks."""

    path: Annotated[str, Field(pattern="^/[!-~]*$")] = "/health"
    """Path that is asked for with GET; a query may follow."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port to ask on; the target's own when left out."""
    interval: Duration = 5.0
    """Time between checks of a target."""
    timeout: Duration = 1.0
    """Longest time for an answer."""
    healthy: Annotated[int, Field(ge=1)] = 2
    """Successes in a row that bring a target back."""
    unhealthy: Annotated[int, Field(ge=1)] = 3
    """Failures in a row that take a target out."""
    expect: Annotated[str, BeforeValidator(_expect)] = "200-399"
    """Statuses that count as success."""
    tcp: bool = False
    """true: a connection that opens is enough; nothing is asked."""


class Outlier(Block):
    """Passive health: targets that fail real calls are left out for a while."""

    failures: Annotated[int, Field(ge=1)] = 5
    """Failures in a row that take a target out."""
    eject: Duration = 30.0
    """How long it stays out; longer each time in a row."""
    max_ejected: Share = 0.5
    """Most of the targets that may be out at a time, rounded down: a single target is never ejected."""


class Framing(Block):
    """How messages are told apart on a tcp:// connection: by one of length_prefix, delimiter, length."""

    length_prefix: Literal[2, 4] | None = None
    """Octets of the length in front of each message."""
    endian: Literal["big", "little"] = "big"
    """Order of the length's octets."""
    counts_itself: bool = False
    """Whether the length counts its own octets."""
    extra: Annotated[int, Field(ge=0, le=64)] = 0
    """Octets that the length counts beyond the message: zeros between the two, as the ZZ of IMS Connect's LLZZ."""
    delimiter: Annotated[str, Field(pattern="^[\\x00-\\xff]+$")] | None = None
    """What ends each message; each character is one octet, so `"\\x15"` is EBCDIC's NL."""
    length: Annotated[int, Field(ge=1)] | None = None
    """Octets of every message."""

    @model_validator(mode="after")
    def _one(self) -> Framing:
        if sum(each is not None for each in (self.length_prefix, self.delimiter, self.length)) != 1:
            raise ValueError("name exactly one of length_prefix, delimiter, length")
        if self.length_prefix is None and (self.extra or self.counts_itself):
            raise ValueError("extra and counts_itself belong to length_prefix")
        return self


class Drop(Block):
    """Files in a folder, for file:// targets."""

    name: str
    """Name of the file that is written; placeholders are filled in, {file.unique}, {file.date} and {file.time} among them."""
    answers: str | None = None
    """Pattern (`*`, `?`) of the files that answers come in, relative to the folder; also {file.name} and {file.stem}. No answer is waited for when left out."""
    poll: Duration = 1.0
    """How often the folder is looked at."""

    @model_validator(mode="after")
    def _sound(self) -> Drop:
        name, answers = drop_templates(self)
        literal = "".join(part for part in name.parts if isinstance(part, str))
        if "/" in literal or "\\" in literal or self.name.startswith((".", " ")):
            raise ValueError("name: a file's name in the folder, without a slash, and not hidden by a dot")
        if not any(not isinstance(part, str) for part in name.parts):
            raise ValueError("name: every call would write the same file; add {file.unique} or what tells calls apart")
        if answers is not None and (not answers.parts or self.answers is None or self.answers.startswith("/")):
            raise ValueError("answers: a pattern relative to the folder")
        if self.poll < 0.01:
            raise ValueError("poll: at least 10ms")
        return self


_FILE_WORDS = ("unique", "date", "time")


def drop_templates(drop: Drop) -> tuple[Template, Template | None]:
    """`name` and `answers`, compiled. Raises PlaceholderError."""
    name = compile_template(drop.name, REQUEST_ROOTS, {"file": _FILE_WORDS})
    if drop.answers is None:
        return name, None
    return name, compile_template(drop.answers, REQUEST_ROOTS, {"file": (*_FILE_WORDS, "name", "stem")})


class HashBalance(Block):
    """Calls with the same value go to the same target."""

    hash: Annotated[str, Field(pattern=r"^(header:[A-Za-z0-9-]+|consumer|ip)$")]
    """header:NAME, consumer or ip."""


class UpstreamConfig(Block):
    """One upstream."""

    targets: Annotated[tuple[Annotated[Target, shorthand("url", Target)], ...], Field(min_length=1)]
    """Its addresses: URLs, or mappings with `url` and `weight`."""
    balance: Literal["least_request", "round_robin"] | HashBalance = "least_request"
    """How a target is chosen for each call."""
    protocol: Literal["http1", "http2"] = "http1"
    """Protocol spoken to http:// and https:// targets."""
    host: Annotated[str, Field(min_length=1), AfterValidator(_host_choice)] = "upstream"
    """The Host that is sent: the target's own (upstream), the caller's (client), or this value."""
    connections: Connections = Connections()
    """The pool of connections."""
    timeout: Annotated[UpstreamTimeout, shorthand("first_byte", UpstreamTimeout)] = UpstreamTimeout()
    """Bounds of one call; a bare duration is first_byte."""
    slow_start: Duration = 0.0
    """How long a target that comes back is led up to its full share."""
    dns: Dns = Dns()
    """Name look-ups."""
    tls: UpstreamTls = UpstreamTls()
    """TLS towards https:// and tls:// targets."""
    health: Annotated[Health | None, off_or(Health)] = None
    """Active health checks; none when left out."""
    outlier: Annotated[Outlier | None, off_or(Outlier)] = Outlier()
    """Passive health; off leaves failing targets in."""
    honours_idempotency_key: bool = False
    """Whether a call that carries an `Idempotency-Key` may be sent again by `retry`, whatever its method."""
    send_deadline: bool = False
    """Whether each call tells the upstream how long its answer is waited for, in `X-Request-Timeout-Ms`."""
    ratelimit_headers: Literal["replace", "pass"] = "replace"
    """The upstream's own RateLimit and RateLimit-Policy: `replace` lets the gateway's stand in their place, where a route has
    limits; `pass` sends both, the gateway's items first. Answers from the cache, replays and adapters' answers have the gateway's only."""
    auth: Annotated[UpstreamAuth | None, off_or(UpstreamAuth)] = None
    """How the gateway makes itself known; not at all when left out."""
    framing: Annotated[Framing | None, off_or(Framing)] = None
    """How messages are told apart, for tcp:// and tls:// targets."""
    drop: Annotated[Drop | None, off_or(Drop)] = None
    """How files are named, for file:// targets."""
    policies: Mapping[str, Any] = Field(default_factory=dict)
    """breaker, retry, bulkhead, timeout: for all routes that use this upstream, sharing their state."""

    @property
    def kind(self) -> Kind:
        """What is spoken to its targets: HTTP, messages over TCP, or files in a folder."""
        return _KINDS[urlsplit(self.targets[0].url).scheme]

    @model_validator(mode="after")
    def _one_kind_of_target(self) -> UpstreamConfig:
        schemes = {urlsplit(target.url).scheme for target in self.targets}
        if len({_KINDS[scheme] for scheme in schemes}) > 1:
            raise ValueError(f"targets of one upstream are of one kind; here are {', '.join(sorted(schemes))}")
        kind = self.kind
        if kind == "tcp" and self.framing is None:
            raise ValueError("tcp:// and tls:// targets need `framing`, which says where a message ends")
        if kind == "file" and self.drop is None:
            raise ValueError("file:// targets need `drop`, which says how files are named")
        if kind == "file" and len(self.targets) > 1:
            raise ValueError("an upstream of files has one folder")
        for word, there, where in (
            ("framing", self.framing is not None and kind != "tcp", "tcp:// and tls:// targets"),
            ("drop", self.drop is not None and kind != "file", "file:// targets"),
            ("protocol: http2", self.protocol == "http2" and kind != "http", "http:// and https:// targets"),
            ("auth", self.auth is not None and kind != "http", "http:// and https:// targets"),
            ("health", self.health is not None and kind == "file", "targets that are connected to"),
        ):
            if there:
                raise ValueError(f"{word} is for {where}")
        if kind == "tcp" and self.health is not None and not self.health.tcp:
            raise ValueError("a path cannot be asked of tcp:// and tls:// targets; write `health: {tcp: true}`")
        return self
