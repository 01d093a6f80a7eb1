"""Adapters turn an exchange into an upstream call and back. Most are a pure codec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from gateway.api.config import Block
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.api.policy import Complaint


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a codec wants sent. `target` None keeps the route's (rewritten) path and query."""

    body: bytes
    content_type: bytes
    method: str = "POST"
    target: bytes | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """The upstream's answer, whole."""

    status: int
    headers: Headers
    body: bytes


class Codec(ABC):
    """A pure translation. The core buffers, encodes, sends, decodes; above `offload_bytes` off the event loop."""

    offload_bytes: int = 64 * 1024

    @abstractmethod
    def encode(self, exchange: Exchange, body: bytes) -> Encoded:
        """The upstream's request. Raises Unmappable: 422 that points at the caller's field."""

    @abstractmethod
    def decode(self, exchange: Exchange, reply: Reply) -> Response:
        """The caller's answer. Raises BadReply: 502, the upstream's fault."""


class Send(Protocol):
    """Sends one request to the route's upstream through its resilience policies; returns the whole answer."""

    def __call__(self, exchange: Exchange, encoded: Encoded) -> Awaitable[Reply]: ...


class CallAdapter(ABC):
    """For what a codec cannot be: logins, several calls, other transports."""

    @abstractmethod
    async def call(self, exchange: Exchange, body: bytes, send: Send) -> Response: ...


BuiltAdapter: TypeAlias = Codec | CallAdapter


@dataclass(frozen=True, slots=True)
class AdapterScope:
    """Where an adapter is being built. `resolve` makes a path of the configuration absolute."""

    route: str
    upstream: str
    read_file: Callable[[str], bytes]


@dataclass(frozen=True)
class AdapterSpec:
    """What an adapter's folder exports as ADAPTER.

    `check` runs once, off the event loop, when the configuration is compiled (it may take seconds); `build` makes the codec
    in each worker. `read_file` raises OSError with the path as ops wrote it.
    """

    name: str
    config: type[Block]
    build: Callable[[Any, AdapterScope], BuiltAdapter]
    check: Callable[[Any, AdapterScope], Iterable[Complaint]] = lambda config, scope: ()
    safe: Callable[[Any], bool] = lambda config: bool(getattr(config, "safe", False))
    files: Callable[[Any], Iterable[str]] = lambda config: ()  # what --watch and fingerprints must cover
