"""One HTTP/2 connection to an upstream (RFC 9113, on h2): frames in, frames out, many streams. Chooses nothing."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import H2Error

from gateway.api.errors import Cause
from gateway.upstream.dial import Tls
from gateway.upstream.draining import why_lost
from gateway.upstream.http2_carried import Carried
from gateway.upstream.http2_frames import Chatter, FrameCutter, is_goaway, last_stream
from gateway.upstream.http2_settings import introduce, protocol
from gateway.upstream.http2_stream import Http2Stream, StreamHome
from gateway.upstream.resolve import Address
from gateway.upstream.wire import Violation

MAX_BACKLOG = 2**20  # octets of PING and SETTINGS answers that an upstream may leave unread
_POLLRDHUP = getattr(select, "POLLRDHUP", 0)  # Linux: the other side has closed, seen before the loop tells us


class Session(asyncio.Protocol):
    """Its life: made, ready with the upstream's SETTINGS, then streams; after GOAWAY none that is new."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        *,
        tls: Tls | None,
        gone: Callable[[Session], object] = lambda session: None,
    ) -> None:
        self.address = address
        self.tls = tls
        self.ready: asyncio.Future[str] = loop.create_future()
        """Done with "" when calls can be made, else with what was in the way."""
        self.places: set[Http2Stream] = set()
        self.max_streams = 0  # that the upstream allows at a time
        self.takes_tunnels = False  # extended CONNECT (RFC 8441 §3)
        self.idle_since = 0.0
        self.closed = False
        self.going = False  # no new call goes here
        self._loop = loop
        self._gone = gone
        self._heard = 0.0
        self._answered = False
        self._streams: dict[int, Carried] = {}
        self._input = FrameCutter()
        self._chatter = Chatter()
        self._paused = False
        self.scheme = b"http"
        self._h2 = protocol()

    # -- the pool's side

    @property
    def has_room(self) -> bool:
        return not self.going and len(self.places) < self.max_streams

    def place(self, home: StreamHome) -> Http2Stream:
        place = Http2Stream(home, self)
        self.places.add(place)
        return place

    def retire(self) -> None:
        """No new call; those under way may end."""
        self.going = True
        if not self.ready.done():
            self._end(Cause.RESET, "the upstream goes away")
            return
        for place in [each for each in self.places if not each.number]:
            place.abort()
        if not self.places:
            self.close()

    def close(self) -> None:
        """End what runs, and say goodbye."""
        if not self.closed:
            self._h2.close_connection()
            self._flush()
            self._end(Cause.RESET, "the connection was closed")

    # -- a stream's side

    def alive(self, *, sure: bool) -> bool:
        if self.closed or self.going or self._transport.is_closing():
            return False
        return not (sure and _POLLRDHUP and self._poll.poll(0))

    def begin(self, stream: Carried, fields: list[tuple[bytes, bytes]], *, end: bool) -> None:
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, fields, end_stream=end)
        except H2Error as problem:  # fewer streams than before are allowed, or all numbers are used up
            stream.refused(f"no stream to be had: {type(problem).__name__}")
            return
        stream.number = number
        self._streams[number] = stream
        self.pump(stream)
        self._flush()

    def pump(self, stream: Carried) -> None:
        """Send of a request what the upstream's windows and the socket's buffer allow."""
        number = stream.number
        while stream.sends and number in self._streams and not self._paused:
            try:
                octets = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                taken = stream.take(octets)
                if taken is None:
                    return
                self._h2.send_data(number, taken[0], end_stream=taken[1])
            except H2Error:  # the upstream has ended the stream; the event that says so is on its way
                return
            self._flush()

    def acknowledge(self, number: int, octets: int) -> None:
        """Open the stream's window by what was read."""
        if not self.closed:
            self._h2.acknowledge_received_data(octets, number)
            self._flush()

    def end(self, stream: Carried) -> bool:
        """The answer is complete. Returns whether the place may serve another call."""
        self._answered = True
        self._drop(stream)
        return not self.closed and not self.going and len(self.places) <= self.max_streams

    def leave(self, stream: Http2Stream) -> None:
        """A place is given up, with the call that it has."""
        self.places.discard(stream)
        busy = bool(stream.number)
        self._drop(stream)
        if not self.places and (self.going or not busy):
            self.close()
        self.idle_since = self._loop.time()

    def doubt(self, since: float) -> None:
        """A call got no answer in time: when nothing at all was heard meanwhile, new calls go elsewhere."""
        if self._heard < since:
            self.retire()

    # -- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), _POLLRDHUP)
        encrypted = transport.get_extra_info("ssl_object")
        if encrypted is not None:
            self.scheme = b"https"
            if encrypted.selected_alpn_protocol() != "h2":  # RFC 9113 §3.2
                self._end(Cause.PROTOCOL, "the server does not speak HTTP/2 over TLS (ALPN)")
                return
        introduce(self._h2)
        self._flush()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump_all()

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        self._input.feed(data)
        touched: dict[Carried, None] = {}
        try:
            while not self.closed and (frame := self._input.take()) is not None:
                self._chatter.hear(frame, self._heard)
                if is_goaway(frame):
                    self._go_away(frame)
                    continue
                for event in self._h2.receive_data(frame):
                    self._event(event, touched)
        except (H2Error, Violation) as problem:
            detail = str(problem) if isinstance(problem, Violation) else f"HTTP/2 broken: {type(problem).__name__}"
            self._flush()  # h2's GOAWAY
            self._deliver(touched)
            self._end(Cause.PROTOCOL, detail)
            return
        self._flush()
        self._deliver(touched)
        if not self.closed and self._transport.get_write_buffer_size() > MAX_BACKLOG:
            self._end(Cause.PROTOCOL, "the upstream reads nothing and asks for answers")

    def eof_received(self) -> None:
        self._end(Cause.RESET, "the upstream closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Cause.RESET, why_lost(exc))

    # -- reading

    def _event(self, event: events.Event, touched: dict[Carried, None]) -> None:
        match event:
            case events.RemoteSettingsChanged():
                self.max_streams = self._h2.remote_settings.max_concurrent_streams
                self.takes_tunnels = self._h2.remote_settings.enable_connect_protocol == 1
                if not self.ready.done():
                    self.ready.set_result("")
                self._pump_all()
                return
            case events.WindowUpdated(stream_id=0):
                self._pump_all()
                return
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        try:
            match event:
                case events.ResponseReceived():
                    # lengths are ours to count: a lie ends its stream, where h2 would end them all
                    self._h2.streams[stream.number]._expected_content_length = None
                    stream.head(event.headers)
                    touched[stream] = None
                case events.DataReceived():
                    stream.data(event.data or b"", event.flow_controlled_length or 0)
                    touched[stream] = None
                case events.TrailersReceived():
                    stream.trailers(event.headers)
                case events.StreamEnded():
                    stream.ended()
                    touched[stream] = None
                case events.InformationalResponseReceived():
                    stream.interim(event.headers)
                case events.WindowUpdated():
                    self.pump(stream)
                case events.StreamReset():
                    touched.pop(stream, None)
                    self._reset(stream, event.error_code)
        except Violation as violation:
            touched.pop(stream, None)
            stream.violate(str(violation))

    def _reset(self, stream: Carried, code: ErrorCodes | int | None) -> None:
        if code == ErrorCodes.REFUSED_STREAM:  # RFC 9113 §8.7
            stream.refused("the upstream refused the stream")
        elif stream.is_complete:  # RFC 9113 §8.1: NO_ERROR after a whole answer, the rest of the request is not wanted
            stream.deliver()
        else:
            name = code.name if isinstance(code, ErrorCodes) else "an unknown code"
            stream.broken(Cause.RESET, f"the upstream ended the stream: {name}", reused=False)

    def _go_away(self, frame: bytes) -> None:
        last = last_stream(frame)
        self.retire()
        for number, stream in list(self._streams.items()):
            if number > last:
                del self._streams[number]  # no RST_STREAM for what it does not know
                stream.refused("the upstream goes away and has not taken the call")

    # -- endings

    def _drop(self, stream: Carried) -> None:
        """The stream's call is over; what of it still runs is cancelled."""
        number, stream.number = stream.number, 0
        if number and self._streams.pop(number, None) is not None and not self.closed:
            try:
                if not stream.is_complete or stream.sends_more:
                    self._h2.reset_stream(number, ErrorCodes.CANCEL)
            except H2Error:  # it is closed already
                return
            self._flush()

    def _end(self, cause: Cause, detail: str) -> None:
        if self.closed:
            return
        self.closed = self.going = True
        if cause is Cause.RESET:
            self._transport.close()  # what was written last still goes out
        else:
            self._transport.abort()
        if not self.ready.done():
            self.ready.set_result(detail)
        for stream in list(self._streams.values()):
            stream.broken(cause, detail, reused=self._answered)
        for place in list(self.places):
            place.abort()
        self._gone(self)

    def _deliver(self, touched: dict[Carried, None]) -> None:
        for stream in touched:
            stream.deliver()

    def _pump_all(self) -> None:
        for stream in list(self._streams.values()):
            self.pump(stream)

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)
