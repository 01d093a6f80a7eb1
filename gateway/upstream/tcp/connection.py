"""One connection that carries a message and its answer, then the next. Bounds, pooling and failures are as for HTTP."""

from __future__ import annotations

from typing import Final

from gateway.api.messages import Headers
from gateway.upstream.answer import AnswerReader
from gateway.upstream.connection import Connection
from gateway.upstream.home import Home
from gateway.upstream.tcp.framing import Frames, Messages

OCTETS: Final = (b"content-type", b"application/octet-stream")


class MessageReader(AnswerReader):
    """Takes the place of the reader of HTTP answers: each message is an answer that comes whole."""

    __slots__ = ("_messages",)

    def __init__(self, frames: Frames) -> None:
        super().__init__()
        self._messages = Messages(frames)
        self.status = 200
        self.length = None
        self.keep_s = None
        self.until_close = False
        self.alive = self.ended = True

    @property
    def began(self) -> bool:
        return self._messages.began

    def expect(self, to_head: bool) -> None:
        """Nothing is left of the message before: what came beyond it ended the connection."""

    def head(self, data: bytes) -> bool:
        message = self._messages.next(data)
        if message is None:
            return False
        self.piece = message
        self.headers = Headers((OCTETS,))
        self.clean = not self._messages.began
        return True


class MessageConnection(Connection):
    """Its life: idle, a message out, its answer in, idle again."""

    __slots__ = ()

    def __init__(self, home: Home, address: object, frames: Frames) -> None:
        super().__init__(home, address)
        self._reader = MessageReader(frames)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._answer is not None:  # a long answer is on its way: each piece is waited for anew
            self._bound(self._home.idle_body_s)
