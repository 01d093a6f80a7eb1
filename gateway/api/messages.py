"""HTTP messages as the gateway passes them around. Knows no server, no upstream and no policy.

Field names are lower-case bytes everywhere: both servers deliver them so, and the upstream client
lowers what it reads. The order of fields, and of equal fields, is kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

Field = tuple[bytes, bytes]


class Headers(list[Field]):
    """Header fields in order, as (lower-case name, value). A list, so servers take it as it is."""

    __slots__ = ()

    def get(self, name: bytes) -> bytes | None:
        """The value of the first field called `name`, or None."""
        for field in self:  # a scan beats building a dict below about 20 fields
            if field[0] == name:
                return field[1]
        return None

    def get_all(self, name: bytes) -> list[bytes]:
        """The values of all fields called `name`, in order."""
        return [value for key, value in self if key == name]

    def add(self, name: bytes, value: bytes) -> None:
        self.append((name, value))

    def set(self, name: bytes, value: bytes) -> None:
        """Replace every field called `name` by one."""
        self.remove_all(name)
        self.append((name, value))

    def remove_all(self, name: bytes) -> None:
        for found in self:  # any() over a generator takes three times as long
            if found[0] == name:
                self[:] = [field for field in self if field[0] != name]
                return


class Body(ABC):
    """A body that is still arriving. Whoever holds it reads it to the end or closes it."""

    __slots__ = ()

    length: int | None
    """Octets announced by Content-Length, or None when the end is marked otherwise."""

    @property
    def trailers(self) -> Headers | None:
        """Fields that followed the body (RFC 9110 §6.5), once read() has given its end; those who change a body drop them."""
        return None

    @abstractmethod
    async def read(self) -> bytes:
        """The next piece, never empty before the end; b"" is the end.

        Raises UpstreamError(stage="body") when an upstream's body breaks off, ClientGone or
        RequestRefused when it is the caller's.
        """

    @abstractmethod
    def close(self) -> None:
        """Give up on the rest. Idempotent; what feeds the body is aborted unless it has ended."""

    def set_aside(self) -> None:
        """Like close(), of an answer that is not what it should be: where it was taken from somewhere it is set aside."""
        self.close()


@dataclass(slots=True)
class Request:
    """What the caller sent, after its target was brought to normal form (RFC 9110 §4.2.3, RFC 3986 §6.2.2)."""

    method: str
    scheme: str  # http or https, as the caller used it (X-Forwarded-Proto of a trusted proxy counts)
    host: str  # lower case, without port; IPv6 in brackets
    authority: bytes  # the Host field or the authority of an absolute-form target, as sent
    path: str  # ASCII, begins with "/"; %2F stays encoded, hex digits are upper case
    query: bytes  # after "?", byte for byte; b"" when there is none
    headers: Headers
    http_version: str  # "1.0", "1.1", "2"
    peer: str  # address of the connection; "" on a Unix socket
    client: str  # address of the caller: the peer, or what a trusted proxy says
    body: Body | bytes | None  # None when the request has none; bytes once someone needed it whole
    certificate: bytes | None = None
    """The caller's certificate (DER), as TLS verified it or a trusted proxy says; b"" when what the proxy says cannot be read."""


@dataclass(slots=True)
class Response:
    """An answer on its way to the caller. Hop-by-hop fields are not in it."""

    status: int
    headers: Headers
    body: bytes | Body = b""


@dataclass(frozen=True, slots=True)
class Correlation:
    """How an answer on a shared connection is known to be a call's: `key` stands in it at `offset`."""

    key: bytes
    offset: int

    @property
    def length(self) -> int:
        return len(self.key)


Abort = Callable[[Exception], object]
"""Ends an upstream call with a fault of the caller's choosing; does nothing when the call has ended."""

OnSlow = Callable[[Abort], None]

OnInterim = Callable[[int, Headers], None]
"""Takes a 1xx answer that came before the answer itself (RFC 9110 §15.2), but for 100 and 101."""


@dataclass(frozen=True, slots=True)
class FileNames:
    """`written` is the name of the file to write, `answers` a pattern for its answer; None: none is waited for."""

    written: str
    answers: str | None
    judged: bool = False
    """Whoever reads the answer to its end says afterwards whether it was good, by close() or set_aside()."""


@dataclass(slots=True)
class UpstreamRequest:
    """A request as an upstream will see it, but for framing, which the upstream client writes itself.

    Headers hold no hop-by-hop fields, no Content-Length, no Transfer-Encoding and no Expect; Host is the first field.
    A body of bytes is sent with Content-Length; a Body with its length, else chunked.
    """

    method: str
    target: bytes  # origin-form, as it goes on the wire
    headers: Headers
    body: bytes | Body | None = None
    on_slow: OnSlow | None = None
    """Called by the upstream client when the call has waited about 100 ms for a connection or for its head."""
    tried: list[str] | None = None
    """Targets of earlier tries: the upstream client prefers others, and adds each that it calls."""
    affinity: bytes | None = None
    """Calls with the same value go to the same target, where the upstream balances by hash; None: to any."""
    correlation: Correlation | None = None
    """Where messages are sent, not HTTP: calls with one share connections; None: each has one to itself."""
    file: FileNames | None = None
    """Where files are dropped: how they are called."""
    before: Callable[[], Awaitable[None]] | None = None
    """Awaited when all else is ready and before the first byte of a try leaves; what it raises ends the call unsent."""
    on_interim: OnInterim | None = None
    """Where there is a way to the caller for them."""


def content_length(headers: Iterable[Field]) -> int | None:
    """The first Content-Length as a number, None when there is none or it is not one."""
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None
