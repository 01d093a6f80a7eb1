"""Answers in a row on one connection: a head that is the same again is read as it was."""

from __future__ import annotations

import pytest

from gateway.upstream.answer import MAX_REMEMBERED, AnswerReader
from gateway.upstream.wire import Violation

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\n\r\n"
FIELDS = [(b"content-length", b"2"), (b"x-a", b"1")]


def test_the_same_head_again_says_the_same_whatever_became_of_its_fields() -> None:
    reader = AnswerReader()
    for _ in range(3):
        reader.expect(False)
        assert reader.head(HEAD + b"ok")
        assert (reader.status, list(reader.headers), reader.piece, reader.clean) == (200, FIELDS, b"ok", True)
        assert (reader.alive, reader.keep_s, reader.length) == (True, 5.0, 2)
        reader.headers.clear()


def test_the_head_of_an_answer_to_head_has_no_body_and_that_to_get_has() -> None:
    reader = AnswerReader()
    for to_head in (False, True, True, False, True):
        reader.expect(to_head)
        assert reader.head(HEAD + (b"" if to_head else b"ok"))
        assert (reader.ended, reader.piece) == (True, b"" if to_head else b"ok")


def test_another_head_is_read_anew_and_so_is_one_after_an_interim_answer() -> None:
    reader = AnswerReader()
    for data, status in (
        (HEAD + b"ok", 200),
        (HEAD.replace(b"200", b"404") + b"ok", 404),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"ok", 200),
        (HEAD.replace(b"\r\nX-A: 1", b"") + b"ok", 200),
        (HEAD + b"ok", 200),
        (HEAD.replace(b"X-A: 1", b"X-A: " + b"1" * MAX_REMEMBERED) + b"ok", 200),
        (HEAD + b"ok", 200),
    ):
        reader.expect(False)
        assert reader.head(data)
        assert reader.status == status
        assert (reader.headers.get(b"x-a") is not None) == (b"X-A" in data)
        assert reader.piece == b"ok"


def test_an_empty_head_is_none_on_a_fresh_connection_too() -> None:
    reader = AnswerReader()
    reader.expect(False)
    with pytest.raises(Violation):
        reader.head(b"\r\n\r\n")
