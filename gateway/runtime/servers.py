"""Which HTTP server runs a listener, and what the runtime asks of either. docs/servers.md says how they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from gateway.api.settings.listen import Listen
from gateway.runtime.listeners import Listener
from gateway.runtime.plane import App

Kind = Literal["granian", "uvicorn"]
Wanted = Literal["auto", "granian", "uvicorn"]


class DataServer(Protocol):
    """An HTTP server on one listener, in one process."""

    async def start(self) -> None:
        """Begin to accept; returns when connections are accepted. Raises when the server cannot run."""
        ...

    def stop_accepting(self) -> None:
        """Leave what is queued on the listener to others; connections that are open go on as if nothing had happened."""
        ...

    async def stop(self, timeout_s: float) -> bool:
        """Close idle connections, let requests that are being answered end.

        Returns whether all ended in time. What had not is cut: at once on uvicorn, with the process on Granian.
        """
        ...


class CannotServeError(Exception):
    """A listener that its server cannot run; the text is for ops."""


def choose(listen: Listen, wanted: Wanted = "auto") -> Kind:
    """The server of a listener. `wanted` is the command line's word, which beats the configuration's.

    Raises CannotServeError when Granian is asked for what it cannot do.
    """
    word = wanted if wanted != "auto" else listen.server
    reason = listen.needs_uvicorn()
    if word == "granian" and reason is not None:
        raise CannotServeError(f"{reason} cannot be served by granian; use server: uvicorn, or auto, which chooses it")
    if word != "auto":
        return word
    return "granian" if reason is None else "uvicorn"


def identity(listens: Sequence[Listen]) -> bytes:
    """Over all that a server takes at its start only, certificates' contents included; the edge's own rules left out."""
    digest = hashlib.sha256()
    for listen in listens:
        digest.update(listen.model_dump_json(exclude={"path", "body_timeout", "redirect"}).encode())
        tls = listen.tls
        files = [part for one in tls.certificates for part in (one.cert, one.key)] if tls else []
        for file in files + [part for part in (tls and tls.client_ca, tls and tls.client_crl) if part]:
            digest.update(Path(file).read_bytes())
    return digest.digest()


def make_server(
    app: App, listener: Listener, listen: Listen, *, wanted: Wanted = "auto", workers: int = 1
) -> DataServer:
    """A server for `listener`, whose socket stays the caller's. Only the chosen server's library is imported."""
    connections = max(1, listen.max_connections // workers)
    if choose(listen, wanted) == "granian":
        from gateway.runtime.granian_server import GranianServer  # noqa: PLC0415

        return GranianServer(app, listener, listen, connections)
    from gateway.runtime.uvicorn_server import UvicornServer  # noqa: PLC0415

    return UvicornServer(app, listener, listen, connections)
