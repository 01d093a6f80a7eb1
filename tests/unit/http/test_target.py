"""The normal form of request targets: RFC 3986's examples, and what must never come through."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.http import target
from gateway.http.target import BadTarget, PathRules, check_query, normal_path

KEEP = PathRules(double_slash="keep")
REFUSE = PathRules("refuse", "refuse")


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        (b"/", "/"),
        (b"/a", "/a"),
        (b"/a/", "/a/"),
        (b"/a/b;v=1,2/c:d@e", "/a/b;v=1,2/c:d@e"),
        (b"/~!$&'()*+,;=:@-._", "/~!$&'()*+,;=:@-._"),
        (b"/.well-known/x", "/.well-known/x"),
        (b"/...", "/..."),
        (b"/..a/.b", "/..a/.b"),
        # RFC 3986 §6.2.2: the same resource, written four ways
        (b"/%7Esmith/home.html", "/~smith/home.html"),
        (b"/%7esmith/home.html", "/~smith/home.html"),
        (b"/a%2fb", "/a%2Fb"),
        (b"/%61%2D%2e%5F%7e", "/a-._~"),
        (b"/caf%c3%a9", "/caf%C3%A9"),
        (b"/%3a%40%21", "/%3A%40%21"),  # reserved octets are not the same when encoded (RFC 3986 §2.2)
        (b"/100%25", "/100%25"),
        (b"/%2561", "/%2561"),  # decoded once, never twice
        (b"/%252e%252e/x", "/%252e%252e/x"),
        (b'/a"b<c>d[e]f^g`h{i}j|k', "/a%22b%3Cc%3Ed%5Be%5Df%5Eg%60h%7Bi%7Dj%7Ck"),
        # RFC 3986 §5.2.4
        (b"/a/b/c/./../../g", "/a/g"),
        (b"/a/.", "/a/"),
        (b"/a/./", "/a/"),
        (b"/a/..", "/"),
        (b"/a/b/..", "/a/"),
        (b"/a/b/../", "/a/"),
        (b"/.", "/"),
        (b"/./a", "/a"),
        (b"/a/%2e%2E/b", "/b"),
        (b"/a/.%2e/b", "/b"),
        (b"/a/%2e/b", "/a/b"),
        # empty segments are merged before dots are resolved
        (b"//", "/"),
        (b"//a///b//", "/a/b/"),
        (b"/a//../b", "/b"),
    ],
)
def test_normal_form(raw: bytes, normal: str) -> None:
    assert normal_path(raw) == normal


@pytest.mark.parametrize(
    ("raw", "normal"), [(b"//a//b", "//a//b"), (b"/a//../b", "/a/b"), (b"/a/..//b", "//b"), (b"//", "//")]
)
def test_empty_segments_kept(raw: bytes, normal: str) -> None:
    assert normal_path(raw, KEEP) == normal


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "request.target"),
        (b"a", "request.target"),
        (b"*", "request.target"),
        (b"%2Fa", "request.target"),
        (b"/a\\b", "request.target-octet"),
        (b"/..\\x", "request.target-octet"),
        (b"/a%5cb", "request.target-octet"),
        (b"/a\x00", "request.target-octet"),
        (b"/a%00", "request.target-octet"),
        (b"/a%0d%0aX:%20y", "request.target-octet"),
        (b"/a%7f", "request.target-octet"),
        (b"/a b", "request.target-octet"),
        (b"/a\tb", "request.target-octet"),
        (b"/a\x7f", "request.target-octet"),
        (b"/caf\xc3\xa9", "request.target-octet"),
        (b"/a#b", "request.target-octet"),
        (b"/a?b", "request.target-octet"),
        (b"/a%", "request.target-encoding"),
        (b"/a%2", "request.target-encoding"),
        (b"/a%2g", "request.target-encoding"),
        (b"/a%u002e", "request.target-encoding"),
        (b"/..", "request.target-root"),
        (b"/../a", "request.target-root"),
        (b"/a/../../b", "request.target-root"),
        (b"/%2e%2e/a", "request.target-root"),
        # a dot segment for servlet containers, which drop parameters, and for whoever decodes %2F
        (b"/a/..;/b", "request.target-dots"),
        (b"/a/..;x=1", "request.target-dots"),
        (b"/a/.;/b", "request.target-dots"),
        (b"/a/%2e%2e;/b", "request.target-dots"),
        (b"/a/..%2fb", "request.target-dots"),
        (b"/a%2f..%2fb", "request.target-dots"),
        (b"/a%2F%2e%2e", "request.target-dots"),
    ],
)
@pytest.mark.parametrize("rules", [PathRules(), KEEP])
def test_refused(raw: bytes, code: str, rules: PathRules) -> None:
    with pytest.raises(BadTarget) as refused:
        normal_path(raw, rules)
    assert (refused.value.status, refused.value.code) == (400, code)


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"/a%2fb", "request.encoded-slash"), (b"/a//b", "request.double-slash"), (b"//a", "request.double-slash")],
)
def test_refused_by_rule(raw: bytes, code: str) -> None:
    with pytest.raises(BadTarget) as refused:
        normal_path(raw, REFUSE)
    assert refused.value.code == code


def test_a_refusal_holds_nothing_of_the_callers_input() -> None:
    with pytest.raises(BadTarget) as refused:
        normal_path(b"/secret%zz")
    assert "secret" not in str(refused.value)


OCTETS = st.lists(
    st.sampled_from(
        [
            b"/",
            b"/",
            b".",
            b"..",
            b"a",
            b"B1",
            b"%2e",
            b"%2F",
            b"%2f",
            b"%41",
            b"%25",
            b"%c3",
            b";",
            b"~",
            b"|",
            b"%7C",
            b"%",
            b"\\",
            b"//",
        ]
    ),
    max_size=12,
).map(b"".join)
RULES = st.builds(PathRules, st.sampled_from(["keep", "refuse"]), st.sampled_from(["merge", "keep", "refuse"]))


@given(OCTETS.map(lambda raw: b"/" + raw), RULES)
@example(b"/a/..//b", KEEP)
def test_the_normal_form_is_a_fixed_point(raw: bytes, rules: PathRules) -> None:
    try:
        once = normal_path(raw, rules)
    except BadTarget:
        return
    assert normal_path(once.encode("ascii"), rules) == once
    segments = once[1:].split("/")
    assert not {".", ".."} & set(segments)
    assert rules.double_slash == "keep" or "" not in segments[:-1]
    assert rules.encoded_slash == "keep" or "%2F" not in once


@given(st.one_of(OCTETS.map(lambda raw: b"/" + raw), st.binary(max_size=20)), RULES)
def test_the_short_way_and_the_long_way_agree(raw: bytes, rules: PathRules) -> None:
    def outcome(way: object) -> str:
        try:
            return way(raw, rules)  # type: ignore[operator, no-any-return]  # one of the two functions
        except BadTarget as refused:
            return refused.code

    assert outcome(normal_path) == outcome(target._normalise)


@pytest.mark.parametrize("raw", [b"", b"a=b&c=%zz", b"!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~"])
def test_queries_that_go_on(raw: bytes) -> None:
    check_query(raw)


@pytest.mark.parametrize("raw", [b"a b", b"a\x00", b"a\r\nb", b"a#b", b"caf\xc3\xa9", b"\x7f"])
def test_queries_that_do_not(raw: bytes) -> None:
    with pytest.raises(BadTarget):
        check_query(raw)
