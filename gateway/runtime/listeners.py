"""Listening sockets: bound once, shared by workers, closed without losing a connection. Knows nothing of HTTP."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.api.settings.listen import Listen

BACKLOG = 2048  # nginx 511, HAProxy maxconn, uvicorn 2048; the kernel caps it at net.core.somaxconn
_LINUX = sys.platform == "linux"
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python's socket module does not name it
_TCPI_UNACKED_OFFSET = 24  # linux/tcp.h, struct tcp_info: for a listening socket, connections waiting to be accepted
# Classic BPF over the TCP header: load octet 13 (the flags), is SYN set? then drop, else keep.
_DROP_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


class CannotListenError(Exception):
    """An address that cannot be bound; its text is for ops."""


@dataclass(slots=True)
class Listener:
    """One bound socket. Whoever made it closes it."""

    sock: socket.socket
    url: str  # http://127.0.0.1:8080, or unix:/run/gateway.sock
    unix: str | None = None

    @property
    def port(self) -> int:
        """0 for a Unix socket."""
        return 0 if self.unix else int(self.sock.getsockname()[1])

    def refuse_new(self) -> None:
        """Let no new connection be made, while those in the queue can still be accepted.

        Closing a listening socket resets the connections in its queue, whose requests may already be there. On Linux new
        SYNs are dropped instead (the client's kernel repeats them after a second and then sees the socket closed),
        so the queue can be emptied first. Elsewhere, the queue stays open until close().
        """
        if self.unix is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.unix)
        elif _LINUX:
            code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
            program = struct.pack("HL", len(_DROP_SYN), ctypes.addressof(code))
            self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def queued(self) -> int:
        """Connections that are made but not accepted yet; 0 where the system does not tell."""
        if self.unix is not None or not _LINUX:
            return 0
        facts = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return int(struct.unpack_from("=I", facts, _TCPI_UNACKED_OFFSET)[0])

    def close(self) -> None:
        self.sock.close()
        if self.unix is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.unix)


class Bindings:
    """The listeners of a gateway, each address bound once and kept from one configuration to the next."""

    def __init__(self) -> None:
        self._bound: dict[tuple[str, int], Listener] = {}

    def bind_all(self, listens: Sequence[Listen]) -> list[Listener]:
        """In the order of `listens`; what is bound already is kept. Raises CannotListenError, with nothing changed."""
        fresh: dict[tuple[str, int], Listener] = {}
        try:
            for listen in listens:
                address = _address(listen)
                if address in fresh:
                    raise CannotListenError(f"cannot listen on {fresh[address].url} twice; remove one of the listeners")
                fresh[address] = self._bound.get(address) or bind(listen)
        except CannotListenError:
            for address in fresh.keys() - self._bound.keys():
                fresh[address].close()
            raise
        self._bound |= fresh
        return list(fresh.values())

    def keep_only(self, listens: Sequence[Listen]) -> None:
        """Close those that `listens` does not name."""
        for address in self._bound.keys() - {_address(listen) for listen in listens}:
            self._bound.pop(address).close()


def bind(listen: Listen, port: int | None = None) -> Listener:
    """The listener that the configuration asks for. Raises CannotListenError."""
    if listen.unix is not None:
        return listen_unix(listen.unix)
    return listen_tcp(listen.host, listen.port if port is None else port, scheme="https" if listen.tls else "http")


def listen_tcp(host: str, port: int, *, scheme: str = "http") -> Listener:
    """Bind and listen; port 0 takes a free one. Raises CannotListenError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise CannotListenError(f"cannot listen on {host}: the name does not resolve ({exc.strerror})") from exc
    sock = socket.socket(family, kind, protocol)
    try:
        # REUSEADDR so that a restart need not wait for TIME_WAIT; no REUSEPORT, which would let a second
        # gateway take half of the connections unnoticed
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections inherit it
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise CannotListenError(_reason(f"{_bracketed(host)}:{port}", exc)) from exc
    sock.setblocking(False)
    bound = sock.getsockname()
    return Listener(sock, f"{scheme}://{_bracketed(bound[0])}:{bound[1]}")


def listen_unix(path: str) -> Listener:
    """Bind a Unix socket; one that nobody listens on any more is replaced. Raises CannotListenError."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _answers(path):
            os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise CannotListenError(_reason(f"unix:{path}", exc)) from exc
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise CannotListenError(_reason(f"unix:{path}", exc)) from exc
    sock.setblocking(False)
    return Listener(sock, f"unix:{path}", unix=path)


def parked_socket(*, unix: bool) -> socket.socket:
    """A listening socket of the same kind that nobody connects to: its name is gone as soon as it exists, or SYNs are dropped.

    Where SYNs cannot be dropped, it is on a free port of loopback.
    """
    if unix:
        sock = socket.socket(socket.AF_UNIX)
        with tempfile.TemporaryDirectory() as folder:
            sock.bind(str(Path(folder) / "parked"))
            sock.listen(1)
    else:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        Listener(sock, "").refuse_new()
        sock.listen(1)
    sock.setblocking(False)
    return sock


def _address(listen: Listen) -> tuple[str, int]:
    return (listen.unix, -1) if listen.unix else (listen.host, listen.port)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(path) != errno.ECONNREFUSED


def _reason(where: str, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: the address is in use; stop the program that listens there, or change the address"
    return f"cannot listen on {where}: {exc.strerror or exc}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
