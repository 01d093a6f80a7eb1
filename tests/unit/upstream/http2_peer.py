"""An HTTP/2 server that follows a script, event by event, on the scripted upstream. For tests only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings

from gateway.testing.upstream import Peer

On = Callable[["Http2Peer", Event], Awaitable[None]]


class Http2Peer:
    """A script of ScriptedUpstream; one object serves all connections, one after another or at once."""

    def __init__(
        self, on: On, *, streams: int = 100, window: int = 65535, lax: bool = False, tunnels: bool = False
    ) -> None:
        self.on = on
        self.heads: list[dict[bytes, bytes]] = []
        self.bodies: dict[int, bytes] = {}
        self.resets: list[int] = []
        self.connections = 0
        self.most = 0  # streams open at a time
        self.live: dict[Peer, H2Connection] = {}
        self._settings = {SettingCodes.MAX_CONCURRENT_STREAMS: streams, SettingCodes.INITIAL_WINDOW_SIZE: window}
        if tunnels:
            self._settings[SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1
        self._lax = lax

    async def __call__(self, peer: Peer) -> None:
        config = H2Configuration(
            client_side=False, validate_outbound_headers=not self._lax, normalize_outbound_headers=not self._lax
        )
        h2 = H2Connection(config)
        h2.local_settings = Settings(client=False, initial_values=self._settings)
        h2.initiate_connection()
        self.connections += 1
        self.live[peer] = h2
        await peer.send(h2.data_to_send())
        try:
            while True:
                for event in h2.receive_data(await peer.read()):
                    self._note(event, h2)
                    self.peer, self.h2 = peer, h2
                    await self.on(self, event)
                await self.flush(peer)
        finally:
            del self.live[peer]

    async def flush(self, peer: Peer | None = None) -> None:
        peer = peer or self.peer
        if peer in self.live and (data := self.live[peer].data_to_send()):
            await peer.send(data)

    def answer(self, stream: int, body: bytes = b"ok", *fields: tuple[bytes, bytes], status: bytes = b"200") -> None:
        self.h2.send_headers(stream, [(b":status", status), *fields], end_stream=not body)
        if body:
            self.h2.send_data(stream, body, end_stream=True)

    def _note(self, event: Event, h2: H2Connection) -> None:
        match event:
            case RequestReceived():
                self.heads.append(dict(event.headers))  # type: ignore[arg-type]  # bytes, with the encoding left out
                self.most = max(self.most, h2.open_inbound_streams)
            case DataReceived():
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + (event.data or b"")
                h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            case StreamReset():
                self.resets.append(int(event.error_code or 0))


def ended(then: Callable[[Http2Peer, int], Any]) -> On:
    """`then` for each request that is whole."""

    async def on(peer: Http2Peer, event: Event) -> None:
        if isinstance(event, StreamEnded):
            then(peer, event.stream_id)

    return on
