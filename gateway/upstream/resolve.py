"""Looks up a target's addresses, keeps them for a while, and the last good ones for as long as look-ups fail."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Any, TypeAlias

Address: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]
"""Family and socket address."""


class Resolver:
    """The addresses of one host and port. A literal address is never looked up."""

    def __init__(self, host: str, port: int, refresh_s: float) -> None:
        self.host = host
        self.port = port
        self.refresh_s = refresh_s
        self.known: tuple[Address, ...] = ()
        self._due = 0.0
        self._lookup: asyncio.Task[None] | None = None
        self._error: OSError | None = None
        try:
            version = ip_address(host).version
        except ValueError:
            return
        self.known = ((socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0)),)
        self._due = float("inf")

    async def addresses(self, now: float) -> tuple[Address, ...]:
        """All addresses, at most `refresh_s` old where the name server answers. Raises OSError when there are none."""
        self.refresh_nowait(now)
        if not self.known:
            assert self._lookup is not None, "without addresses a look-up is under way"
            await asyncio.shield(self._lookup)  # others wait for the same one; nobody's end may end it
            if not self.known:
                raise self._error or OSError("the name has no address")
        return self.known

    def refresh_nowait(self, now: float) -> None:
        """Start a look-up where the last is too old; what is known serves meanwhile."""
        if now >= self._due and (self._lookup is None or self._lookup.done()):
            self._due = now + self.refresh_s
            self._lookup = asyncio.get_running_loop().create_task(self._look_up(), name=f"resolve {self.host}")

    def close(self) -> None:
        if self._lookup is not None:
            self._lookup.cancel()

    async def _look_up(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as problem:  # UnicodeError: a label that IDNA cannot encode
            self._error = problem if isinstance(problem, OSError) else OSError(str(problem))
            if not self.known:
                self._due = 0.0  # ask again for the next call
            return
        self._error = None
        self.known = tuple(dict.fromkeys((family, tuple(address)) for family, _, _, _, address in found))
