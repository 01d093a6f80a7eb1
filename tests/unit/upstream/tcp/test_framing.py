"""Where messages end: every form of framing both ways, in whatever pieces octets arrive, and lengths that lie."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.errors import Unmappable
from gateway.api.settings.upstream import Framing
from gateway.upstream.tcp.framing import MAX_MESSAGE, Frames, Messages
from gateway.upstream.wire import Violation

# framing, message, octets on the wire
VECTORS: list[tuple[dict[str, Any], bytes, bytes]] = [
    ({"length_prefix": 2}, b"abc", b"\0\3abc"),
    ({"length_prefix": 4}, b"abc", b"\0\0\0\3abc"),
    ({"length_prefix": 2, "endian": "little"}, b"abc", b"\3\0abc"),
    ({"length_prefix": 4, "endian": "little", "counts_itself": True}, b"abc", b"\7\0\0\0abc"),
    ({"length_prefix": 2, "counts_itself": True}, b"", b"\0\2"),
    # IMS Connect: LL counts itself, ZZ and the data; ZZ is zero
    ({"length_prefix": 2, "counts_itself": True, "extra": 2}, b"abc", b"\0\7\0\0abc"),
    ({"length_prefix": 4, "counts_itself": True}, b"abc", b"\0\0\0\7abc"),
    ({"length_prefix": 2, "extra": 2}, b"abc", b"\0\5\0\0abc"),
    ({"delimiter": "\n"}, b"abc", b"abc\n"),
    ({"delimiter": "\r\n"}, b"", b"\r\n"),
    ({"delimiter": "\x15"}, b"\x81\x82", b"\x81\x82\x15"),
    ({"delimiter": "\xff"}, b"abc", b"abc\xff"),
    ({"length": 3}, b"abc", b"abc"),
]
BY_FORM = [pytest.param(*vector, id=f"{number}") for number, vector in enumerate(VECTORS)]


def frames(**config: Any) -> Frames:
    return Frames(Framing.model_validate(config))


@pytest.mark.parametrize(("config", "message", "wire"), BY_FORM)
def test_a_message_goes_out_and_comes_back(config: dict[str, Any], message: bytes, wire: bytes) -> None:
    assert frames(**config).wrap(message) == wire
    assert Messages(frames(**config)).next(wire) == message


@pytest.mark.parametrize(("config", "message", "wire"), BY_FORM)
@given(data=st.data())
def test_pieces_do_not_matter(config: dict[str, Any], message: bytes, wire: bytes, data: st.DataObject) -> None:
    stream = wire * 3
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    messages = Messages(frames(**config))
    found: list[bytes] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        one = messages.next(stream[begin:end])
        while one is not None:
            found.append(one)
            one = messages.next() if messages.began else None
    assert found == [message] * 3
    assert not messages.began


@pytest.mark.parametrize(
    ("config", "wire"),
    [
        pytest.param({"length_prefix": 2, "counts_itself": True}, b"\0\1a", id="less than itself"),
        pytest.param({"length_prefix": 2, "counts_itself": True, "extra": 2}, b"\0\3\0", id="less than LLZZ"),
        pytest.param({"length_prefix": 4}, b"\x7f\xff\xff\xff", id="more than anybody holds"),
        pytest.param({"delimiter": "\n"}, b"a" * (MAX_MESSAGE + 1), id="no delimiter"),
    ],
)
def test_lengths_that_lie(config: dict[str, Any], wire: bytes) -> None:
    with pytest.raises(Violation):
        Messages(frames(**config)).next(wire)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"length_prefix": 2}, b"a" * 65536, id="too long for two octets"),
        pytest.param({"length_prefix": 2, "counts_itself": True, "extra": 2}, b"a" * 65532, id="too long for LLZZ"),
        pytest.param({"delimiter": "\r\n"}, b"a\r\nb", id="the delimiter inside"),
        pytest.param({"length": 3}, b"ab", id="too short"),
        pytest.param({"length": 3}, b"abcd", id="too long"),
    ],
)
def test_what_the_framing_cannot_carry(config: dict[str, Any], message: bytes) -> None:
    with pytest.raises(Unmappable):
        frames(**config).wrap(message)


def test_the_longest_message_fits() -> None:
    assert frames(length_prefix=2).wrap(b"a" * 65535)[:2] == b"\xff\xff"
