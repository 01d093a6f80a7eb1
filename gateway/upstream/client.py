"""The client of one upstream: a target for each call, a connection, the call, and a second try where that is safe."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.api.errors import Cause, RequestRefused, UpstreamError
from gateway.api.messages import Body, Response, UpstreamRequest
from gateway.api.settings.upstream import UpstreamConfig
from gateway.upstream.connection import Connection, StaleConnection
from gateway.upstream.dial import Tls
from gateway.upstream.handshake import open_websocket, unwritable
from gateway.upstream.http2_fields import check_request
from gateway.upstream.pool import Pool
from gateway.upstream.pool_settings import PoolSettings
from gateway.upstream.sweep import Sweep
from gateway.upstream.targets import Targets
from gateway.upstream.tls import client_context
from gateway.upstream.waiter import Call
from gateway.upstream.wire import write_head

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))  # RFC 9110 §9.2.2
_ANTICIPATES_CONTENT = frozenset(("POST", "PUT", "PATCH"))  # RFC 9110 §8.6: an empty body of these has a length
ENCRYPTED = ("https", "tls")
_CHUNKED = b"transfer-encoding: chunked\r\n"


@dataclass(frozen=True, slots=True)
class PreparedTargets:
    """A configuration of an upstream, worked out: host, port and parameters for each target's URL."""

    targets: Mapping[str, tuple[str, int, PoolSettings]]
    config: UpstreamConfig
    context_of: tuple[object, ssl.SSLContext] | None
    workers: int


class Upstream:
    """Calls one upstream over HTTP/1.1 or HTTP/2. Made, used and closed in one event loop; outlives configurations.

    `workers` divides the figures of the configuration, which are for the machine.
    """

    def __init__(self, name: str, config: UpstreamConfig, sweep: Sweep, *, workers: int = 1) -> None:
        self.name = name
        self._sweep = sweep
        self._time = sweep.loop.time
        self._workers = workers
        self._targets = Targets(name, sweep)
        self._context_of: tuple[object, ssl.SSLContext] | None = None
        self.apply(self.prepare(config))

    def prepare(self, config: UpstreamConfig, *, workers: int | None = None) -> PreparedTargets:
        """What apply() needs; nothing has changed yet.

        Raises OSError when a file of `tls` is of no use, ValueError when a name is none that TLS can ask for.
        """
        workers = workers or self._workers
        context_of = self._context(config)
        targets: dict[str, tuple[str, int, PoolSettings]] = {}
        for target in config.targets:
            parts = urlsplit(target.url)
            host = parts.hostname or ""
            encrypted = parts.scheme in ENCRYPTED
            port = parts.port or (443 if encrypted else 80)
            settings = PoolSettings(
                connections=max(1, -(-config.connections.max // workers)),
                weight=target.weight,
                host=_host_value(config.host, host, port, encrypted),
                tls=Tls(context_of[1], config.tls.server_name or host) if encrypted and context_of else None,
                idle_s=config.connections.idle,
                connect_s=config.timeout.connect,
                first_byte_s=config.timeout.first_byte,
                idle_body_s=config.timeout.idle,
                dns_refresh_s=config.dns.refresh,
                http2=config.protocol == "http2",
                framing=config.framing,
            )
            targets[target.url] = (host, port, settings)
        return PreparedTargets(targets, config, context_of, workers)

    def apply(self, prepared: PreparedTargets) -> None:
        """Live by another configuration: targets that stay keep their connections, those that go are retired."""
        self._context_of, self._workers = prepared.context_of, prepared.workers
        self._http2 = prepared.config.protocol == "http2"
        self._targets.apply(prepared.config, prepared.targets)

    def reconfigure(self, config: UpstreamConfig, *, workers: int | None = None) -> None:
        """prepare() and apply(); when it raises nothing has changed. `workers` stays as it was when left out."""
        self.apply(self.prepare(config, workers=workers))

    def close(self) -> None:
        """Retire: idle connections are closed at once, busy ones when their calls are done."""
        self._targets.close()

    def statistics(self) -> dict[str, dict[str, int]]:
        """Figures for each target by its URL; requests, errors and ejections only ever grow."""
        return {url: pool.statistics() for url, pool in self._targets.pools.items()}

    def states(self) -> dict[str, dict[str, Any]]:
        """How each target stands and why, by its URL, for ops."""
        return self._targets.states()

    def ready(self, others: int) -> bool:
        """Whether a call would get a connection at once, after `others` of this moment.

        What is sent without one is announced: `UpstreamRequest.before` is awaited with a connection at hand.
        """
        only = self._targets.only
        if only is not None:
            return only.room > others
        return sum(pool.room for pool in self._targets.pools.values()) > others

    async def send(self, request: UpstreamRequest, deadline: float, *, replayable: bool = False) -> Response:
        """Send `request` to one of the targets; its answer, as soon as the head is there.

        `deadline` is in the event loop's seconds and bounds everything up to the head. The first header field, Host, is
        replaced as the configuration's `host` says. The answer's body is bytes when it arrived whole with its head, else
        a Body to be read to its end or closed. A Body in `request` stays the caller's to close.

        `replayable` says that the route's meaning allows to repeat what its method allows (RFC 9110 §9.2.2): only then
        an idempotent request is sent a second time when a reused connection turns out to be closed.

        Raises UpstreamError, whose `sent=False` guarantees that no byte of the request left; RequestRefused and
        ClientGone as the request's body raises them, and RequestRefused for what cannot be written as HTTP.
        Cancelling the call closes its connection.
        """
        method = request.method
        body = request.body
        rest: Body | None = None
        left: int | None = 0
        if body is None or isinstance(body, bytes):
            content = body or b""
        else:
            # Before a connection is taken: slow callers hold none, and most bodies are whole with their first piece
            content = await body.read()
            left = None if body.length is None else body.length - len(content)
            rest = body if content and left != 0 else None
            if rest is None:
                request.body = content  # whole: whoever tries again has it
            if left is not None and (left < 0 or (left and not content)):
                raise _unequal()
        http2 = self._http2
        if rest is not None and left is None and not http2:
            framing, content = _CHUNKED, _chunk(content)
        elif content or method in _ANTICIPATES_CONTENT:
            framing = b"content-length: %d\r\n" % (len(content) + (left or 0))
        else:
            framing = b""

        targets = self._targets
        pool = targets.only or targets.pick(request)
        if pool is None:
            raise targets.none_healthy()
        repeatable = replayable and rest is None and method in _IDEMPOTENT
        failed: tuple[Pool, ...] = ()
        stale: bool | None = None  # once a reused connection had ended: whether it may have got bytes
        while True:
            try:
                if http2:
                    check_request(method, request.target, pool.host or request.headers[0][1], request.headers)
                    message = content
                else:
                    message = write_head(method, request.target, pool.host, request.headers, framing)
                    if content:
                        message += content
            except ValueError as problem:
                raise unwritable() from problem
            now = self._time()
            connection = None if stale is not None else pool.take(now, sure=not repeatable)
            if connection is None:
                try:
                    connection = await pool.acquire(Call(deadline, request.on_slow), fresh=stale is not None)
                except UpstreamError as error:
                    if stale is not None:
                        error.sent = stale
                    failed = (*failed, pool)
                    pool = targets.instead(request, failed, error, deadline)
                    continue
                now = self._time()
            if request.before is not None:
                try:
                    await request.before()
                except BaseException:
                    pool.release(connection)
                    raise
                now = self._time()
                if not connection.usable(now, sure=True):
                    connection.abort()
                    continue
            if now >= deadline:  # the process was held up: what is sent too late may meanwhile be another's to send
                connection.abort()
                raise UpstreamError(
                    Cause.TIMEOUT, "queue", sent=bool(stale), upstream=self.name, detail="too late to send"
                )
            pool.requests += 1
            if request.tried is not None:
                request.tried.append(pool.url)
            answer = connection.call(request, message, now, deadline)
            if rest is not None:
                connection.stream(
                    self._sweep.loop.create_task(_stream(connection, rest, left, chunked=framing is _CHUNKED))
                )
            try:
                response = await answer
            except StaleConnection as error:
                if not http2:  # there it may be a stream only that ended
                    pool.idle_limit.closed(now - connection.idle_since, now)
                if stale is not None or rest is not None or (error.sent and not (replayable and method in _IDEMPOTENT)):
                    pool.errors += 1
                    raise
                stale = error.sent
            except UpstreamError as error:
                pool.failed(error)
                raise
            except asyncio.CancelledError:
                connection.leave(answer)
                raise
            else:
                if targets.only is None:
                    targets.answered(pool, response, self._time() - now)
                return response

    async def open_websocket(self, request: UpstreamRequest, subprotocols: bytes | None, deadline: float) -> Response:
        """The answer to a WebSocket handshake (gateway.upstream.handshake)."""
        return await open_websocket(self.name, self._targets, self._sweep, request, subprotocols, deadline)

    def _context(self, config: UpstreamConfig) -> tuple[object, ssl.SSLContext] | None:
        """The TLS context with what it was made of: the same while the configuration and its files' contents are."""
        targets = [urlsplit(target.url) for target in config.targets]
        hosts = [target.hostname or "" for target in targets if target.scheme in ENCRYPTED]
        if not hosts:
            return None
        names = {config.tls.server_name or host for host in hosts}
        files = (config.tls.ca, config.tls.cert, config.tls.key)
        identity = (
            config.tls,
            config.protocol,
            config.framing is None,
            names,
            tuple(Path(file).read_bytes() for file in files if file is not None),
        )
        if self._context_of is not None and self._context_of[0] == identity:
            return self._context_of
        alpn = None if config.framing else "h2" if config.protocol == "http2" else "http/1.1"
        return identity, client_context(config.tls, names, alpn)


async def _stream(connection: Connection, body: Body, left: int | None, *, chunked: bool) -> None:
    """Send the rest of a body as it arrives: `left` octets, or all there is, in chunks where HTTP/1.1 needs them."""
    try:
        while left is None or left > 0:
            piece = await body.read()
            if left is not None:
                left -= len(piece)
                if left < 0 or not piece:
                    raise _unequal()
                await connection.write(piece)
            elif piece:
                await connection.write(_chunk(piece) if chunked else piece)
            else:
                if chunked:
                    await connection.write(b"0\r\n\r\n")
                break
        connection.sent()
    except Exception as problem:
        connection.fail(problem)


def _unequal() -> RequestRefused:
    return RequestRefused(
        400, "request.framing", "The body's length differs from its Content-Length; send as much as is announced."
    )


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _host_value(choice: str, host: str, port: int, encrypted: bool) -> bytes | None:
    """The Host to send; None: the caller's."""
    if choice == "client":
        return None
    if choice != "upstream":
        return choice.encode("ascii")
    name = b"[%b]" % host.encode("ascii") if ":" in host else host.encode("idna")
    # RFC 9110 §4.2.3: the default port is left out
    return name if port == (443 if encrypted else 80) else b"%b:%d" % (name, port)
