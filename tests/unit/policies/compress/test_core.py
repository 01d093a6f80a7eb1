"""compress: which answers are coded, with what, and what that does to fields (RFC 9110 §8.4, §12.5.3, §8.8.3.3)."""

import pytest

from gateway.api.messages import Headers
from policies.compress.core import (
    asked_upstream,
    choose,
    coded_fields,
    forbids,
    is_compressible,
    knows_weakened,
    may_code,
)

ALL = ("br", "zstd", "gzip")


def headers(*pairs):
    return Headers((name.encode(), value.encode()) for name, value in pairs)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("zstd", "zstd"),
        ("br", "br"),
        ("gzip, br", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.5", "br"),
        ("br;q=0, gzip;q=0.001", "gzip"),
        ("br;q=0, zstd;q=0, gzip;q=0", None),
        ("*", "br"),
        ("*;q=0.5, gzip", "gzip"),
        ("*;q=0", None),
        ("br;q=0, *", "zstd"),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0", None),
        ("identity;q=0, gzip", "gzip"),
        ("deflate", None),
        ("compress, deflate, pack200-gzip", None),
        ("gzip;q=2", None),
        ("gzip;q=x, br", "br"),
        ("gzip;q=1.000", "gzip"),
        ("gzip ; q=0.3 , br ; q=0.2", "gzip"),
        (", ,gzip,", "gzip"),
    ],
)
def test_the_coding_that_a_caller_wants_most(accepted, coding):
    assert choose(() if accepted is None else (accepted.encode(),), ALL) == coding


def test_fields_of_one_name_are_one_list_and_what_is_not_offered_is_not_used():
    assert choose((b"gzip;q=0.1", b"br"), ALL) == "br"
    assert choose((b"gzip;q=0.1", b"br"), ("gzip",)) == "gzip"
    assert choose((b"gzip, br",), ("gzip", "br")) == "gzip"


@pytest.mark.parametrize(
    ("media", "shorter"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON", True),
        ("application/problem+json", True),
        ("application/soap+xml", True),
        ("image/svg+xml", True),
        ("text/html", True),
        ("text/event-stream", False),
        ("text/event-stream; charset=utf-8", False),
        ("image/png", False),
        ("application/zip", False),
        ("application/octet-stream", False),
        ("application/grpc", False),
        ("", False),
    ],
)
def test_types(media, shorter):
    assert is_compressible(media.encode()) is shorter


JSON = ("content-type", "application/json")


@pytest.mark.parametrize(
    ("status", "fields", "may"),
    [
        (200, [JSON], True),
        (404, [JSON], True),
        (502, [JSON], True),
        (101, [JSON], False),
        (204, [JSON], False),
        (206, [JSON], False),
        (304, [JSON], False),
        (200, [], False),
        (200, [JSON, ("content-encoding", "gzip")], False),
        (200, [JSON, ("content-encoding", "identity")], False),
        (200, [JSON, ("content-range", "bytes 0-1/2")], False),
        (200, [JSON, ("content-digest", "sha-256=:AA==:")], False),
        (200, [JSON, ("repr-digest", "sha-256=:AA==:")], False),
        (200, [JSON, ("content-md5", "AA==")], False),
        (200, [JSON, ("cache-control", "no-transform")], False),
        (200, [JSON, ("cache-control", "max-age=1, No-Transform")], False),
        (200, [("cache-control", "no-transform"), JSON], False),
        (200, [JSON, ("cache-control", 'x="no-transform"')], True),
        (200, [JSON, ("cache-control", "max-age=1")], True),
    ],
)
def test_what_may_be_coded(status, fields, may):
    assert may_code(status, headers(*fields)) is may


def test_a_coded_answer_has_other_fields():
    before = headers(JSON, ("content-length", "9"), ("etag", '"a"'), ("accept-ranges", "bytes"), ("x-a", "1"))
    after = coded_fields(before, b"br")
    assert after == headers(JSON, ("etag", 'W/"a"'), ("x-a", "1"), ("content-encoding", "br"))
    assert coded_fields(headers(("etag", 'W/"a"')), b"br").get(b"etag") == b'W/"a"'


@pytest.mark.parametrize(
    ("name", "sent", "seen"),
    [
        ("if-none-match", 'W/"a"', 'W/"a", "a"'),
        ("if-none-match", 'W/"a", "a"', 'W/"a", "a"'),
        ("if-none-match", 'W/"a,b", "c"', 'W/"a,b", "c", "a,b"'),
        ("if-none-match", '"a"', None),
        ("if-none-match", "*", None),
        ("if-match", 'W/"a", "b"', '"a", "b"'),
        ("if-match", '"a"', None),
        ("if-range", 'W/"a"', None),
        ("x-other", 'W/"a"', None),
    ],
)
def test_validators_on_their_way_to_the_upstream(name, sent, seen):
    fields = asked_upstream(headers((name, sent), ("x-b", "1")))
    assert fields == (None if seen is None else headers((name, seen), ("x-b", "1")))


def test_a_304_names_the_form_that_the_caller_knows():
    asked = headers(("if-none-match", '"x", W/"a"'))
    assert knows_weakened(asked, b'"a"')
    assert not knows_weakened(asked, b'"x"')
    assert not knows_weakened(asked, b'W/"a"')


@pytest.mark.parametrize(
    ("control", "said"), [(b"no-transform", True), (b"x, NO-TRANSFORM ", True), (b"no-store", False)]
)
def test_no_transform(control, said):
    assert forbids(control) is said
