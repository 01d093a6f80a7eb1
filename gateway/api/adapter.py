"""Adapters turn an exchange into an upstream call and back. Most are a pure codec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from gateway.api.config import Block
from gateway.api.errors import BadReply
from gateway.api.exchange import Exchange
from gateway.api.messages import Body, Correlation, Headers, Response
from gateway.api.policy import Complaint


@dataclass(slots=True)
class Encoded:
    """What an adapter wants sent. `target` None keeps the route's (rewritten) path and query; without a body, no content type."""

    body: bytes | Body | None
    content_type: bytes
    method: str = "POST"
    target: bytes | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    correlation: Correlation | None = None


@dataclass(slots=True)
class Reply:
    """The upstream's answer, whole."""

    status: int
    headers: Headers
    body: bytes


MAX_REPLY = 16 * 2**20  # octets of an answer that an adapter holds whole


async def read_reply(response: Response) -> Reply:
    """The whole of an answer that is arriving; its body is closed or set aside by whoever judges it, unless this raises.

    Raises BadReply when it is longer than an adapter holds.
    """
    body = response.body
    if isinstance(body, bytes):
        return Reply(response.status, response.headers, body)
    pieces = []
    size = 0
    try:
        while piece := await body.read():
            size += len(piece)
            if size > MAX_REPLY:
                raise BadReply("the answer is longer than an adapter holds")
            pieces.append(piece)
    except BadReply:
        body.set_aside()
        raise
    except BaseException:
        body.close()
        raise
    return Reply(response.status, response.headers, b"".join(pieces))


class Codec(ABC):
    """A pure translation. The core buffers, encodes, sends, decodes; above `offload_bytes` off the event loop."""

    offload_bytes: int = 64 * 1024

    @abstractmethod
    def encode(self, exchange: Exchange, body: bytes) -> Encoded:
        """The upstream's request. Raises Unmappable: 422 that points at the caller's field."""

    @abstractmethod
    def decode(self, exchange: Exchange, reply: Reply) -> Response:
        """The caller's answer. Raises BadReply: 502, the upstream's fault."""


class Calls(Protocol):
    """The route's upstream, as an adapter calls it. Both raise UpstreamError."""

    def whole(self, exchange: Exchange, encoded: Encoded) -> Awaitable[Reply]:
        """The whole answer. Raises BadReply when it is longer than an adapter may hold."""
        ...

    def streamed(self, exchange: Exchange, encoded: Encoded) -> Awaitable[Response]:
        """The answer as it arrives: whoever gets it reads its body to the end, or closes it."""
        ...


class CallAdapter(ABC):
    """For what a codec cannot be: bodies that stream, several calls, callers who do not speak JSON."""

    presents: bool = False
    """Whether refusals go through present()."""
    judges: bool = False
    """Whether close() or set_aside() is called on what `streamed` gave even after its last octet, to say what it was."""

    @abstractmethod
    async def call(self, exchange: Exchange, upstream: Calls) -> Response:
        """The caller's answer. The body is the adapter's to read: whole by exchange.read_body(), or piece by piece."""

    def present(self, exchange: Exchange, refusal: Response) -> Response:
        """How the gateway's own refusals look to callers of this route, wherever in its chain they were made."""
        return refusal


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
    messages: bool = False  # what it encodes is whole by itself, so it may go over tcp:// or into a file as well
    streams: Callable[[Any], bool] = lambda config: False  # it holds no whole request body
    correlates: Callable[[Any], bool] = lambda config: False  # its calls share tcp:// connections
