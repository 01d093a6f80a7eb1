"""A multipart body taken apart as it arrives (RFC 2046 §5.1): heads of parts, octets, ends. Holds no part. Pure."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from adapters.soap.codec.media_types import media_type, parameters

MAX_PARTS: Final = 200
MAX_PART_HEAD: Final = 8192  # octets
MAX_PADDING: Final = 256  # octets of blanks behind a boundary (RFC 2046: transport padding)
_UNSAFE: Final = re.compile(r"[^!-~]")
_BLANKS: Final = b" \t\r\n"


class BadMultipart(ValueError):
    """The bytes are no multipart message. The message holds none of them."""


@dataclass(frozen=True, slots=True)
class PartHead:
    """The header of one part: lower-case names."""

    headers: Mapping[str, str]

    @property
    def content_id(self) -> str:
        return self.headers.get("content-id", "").strip().strip("<>")

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def media_type(self) -> str:
        return media_type(self.headers.get("content-type", "application/octet-stream"))

    @property
    def name(self) -> str:
        return parameters(self.headers.get("content-disposition", "")).get("name", "")


class End(Enum):
    """What follows the last octet of a part."""

    PART = "part"


Event = PartHead | bytes | End


class _At(Enum):
    BETWEEN = "before a part: the preamble, or behind a boundary"
    HEAD = "in a part's header"
    CONTENT = "in a part's content"
    OVER = "behind the last boundary"


class PartsReader:
    """Feed it what arrives; it says what that means. Raises BadMultipart."""

    def __init__(self, content_type: str) -> None:
        boundary = parameters(content_type).get("boundary", "")
        if not boundary or len(boundary) > 70 or _UNSAFE.search(boundary.replace(" ", "-")):
            raise BadMultipart("the multipart message has no usable boundary")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._held = bytearray(b"\r\n")  # the first boundary needs no line before it
        self._at = _At.BETWEEN
        self._behind_boundary = False
        self._parts = 0
        self._first = False  # nothing of this part's content was taken yet
        self._decoder = _Decoder()

    def feed(self, octets: bytes) -> Iterator[Event]:
        """What `octets` add. All of it must be taken before more is fed."""
        self._held += octets
        while True:
            before = self._at, len(self._held)
            match self._at:
                case _At.BETWEEN:
                    self._between()
                case _At.HEAD:
                    head = self._head()
                    if head is not None:
                        yield head
                case _At.CONTENT:
                    yield from self._content()
                case _At.OVER:
                    self._held.clear()
            if (self._at, len(self._held)) == before:
                return

    @property
    def boundary(self) -> str:
        return self._delimiter[4:].decode("ascii")

    @property
    def over(self) -> bool:
        """Whether the last boundary has come."""
        return self._at is _At.OVER

    @property
    def behind(self) -> bytes:
        """After a part's end: what has come from there on, beginning with the boundary."""
        return self._delimiter + bytes(self._held)

    def close(self) -> None:
        """The body has ended. Raises BadMultipart when the message has not."""
        if self._at is not _At.OVER:
            raise BadMultipart("the multipart message has no end")

    def _between(self) -> None:
        held = self._held
        if not self._behind_boundary:
            found = held.find(self._delimiter)
            if found < 0:
                del held[: max(0, len(held) - len(self._delimiter) + 1)]
                return
            del held[: found + len(self._delimiter)]
            self._behind_boundary = True
        if held.startswith(b"--"):
            self._at = _At.OVER
            return
        line = held.find(b"\r\n", 0, MAX_PADDING)
        if line < 0:
            if len(held) >= MAX_PADDING:
                raise BadMultipart("a part of the multipart message is malformed")
            return
        if held[:line].strip(b" \t"):
            raise BadMultipart("a part of the multipart message is malformed")
        del held[: line + 2]
        self._at = _At.HEAD
        self._behind_boundary = False
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadMultipart(f"the multipart message has more than {MAX_PARTS} parts")

    def _head(self) -> PartHead | None:
        held = self._held
        if held.startswith(b"\r\n"):
            # what follows may be the next boundary at once: it begins with this very line end
            raw, ends = b"", 2
        else:
            found = held.find(b"\r\n\r\n", 0, MAX_PART_HEAD)
            if found < 0:
                if len(held) >= MAX_PART_HEAD or self._delimiter in held:
                    raise BadMultipart("a part of the multipart message has no end of its header")
                return None
            raw, ends = bytes(held[:found]), found + 4
        if len(held) < ends:
            return None
        headers: dict[str, str] = {}
        for line in re.sub(rb"\r\n[ \t]+", b" ", raw).split(b"\r\n") if raw else ():
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise BadMultipart("a part of the multipart message has a malformed header")
            headers.setdefault(name.strip().lower(), value.strip())
        del held[: ends - 2]  # an empty content's boundary begins with the line end of the header
        self._at = _At.CONTENT
        self._decoder = _decoder(headers.get("content-transfer-encoding", "binary").strip().lower())
        self._first = True
        return PartHead(headers)

    def _content(self) -> Iterator[Event]:
        held = self._held
        found = held.find(self._delimiter)
        if self._first and (found >= 2 or found < 0):
            if found < 0 and len(held) < len(self._delimiter):
                return
            del held[:2]  # the line end that _head() left
            found -= 2
        self._first = False
        until = found if found >= 0 else max(0, len(held) - len(self._delimiter) + 1)
        if until:
            octets = self._decoder.feed(bytes(held[:until]))
            del held[:until]
            if octets:
                yield octets
        if found >= 0:
            rest = self._decoder.close()
            if rest:
                yield rest
            del held[: len(self._delimiter)]
            self._at, self._behind_boundary = _At.BETWEEN, True
            yield End.PART


class _Decoder:
    """Content-Transfer-Encoding 7bit, 8bit, binary: as it is (RFC 2045 §6)."""

    def feed(self, octets: bytes) -> bytes:
        return octets

    def close(self) -> bytes:
        return b""


class _Base64(_Decoder):
    def __init__(self) -> None:
        self._left = b""

    def feed(self, octets: bytes) -> bytes:
        octets = self._left + octets.translate(None, _BLANKS)
        whole = len(octets) - len(octets) % 4
        self._left = octets[whole:]
        return self._decoded(octets[:whole])

    def close(self) -> bytes:
        return self._decoded(self._left)

    def _decoded(self, octets: bytes) -> bytes:
        try:
            return binascii.a2b_base64(octets)
        except ValueError as exc:
            raise BadMultipart("a part of the multipart message does not decode") from exc


class _QuotedPrintable(_Decoder):
    def __init__(self) -> None:
        self._left = b""

    def feed(self, octets: bytes) -> bytes:
        lines, ending, self._left = (self._left + octets).rpartition(b"\n")
        if len(self._left) > MAX_PART_HEAD:  # RFC 2045 §6.7: 76 characters are a line's most
            raise BadMultipart("a part of the multipart message does not decode")
        return quopri.decodestring(lines + ending)

    def close(self) -> bytes:
        return quopri.decodestring(self._left)


def _decoder(encoding: str) -> _Decoder:
    match encoding:
        case "base64":
            return _Base64()
        case "quoted-printable":
            return _QuotedPrintable()
        case _:
            return _Decoder()
