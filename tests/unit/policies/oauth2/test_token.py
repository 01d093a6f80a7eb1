"""Reading a token: every canonical one is read as it was written, everything else is refused and never raises."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.oauth2.reasons import Reason
from policies.oauth2.token import MAX_DEPTH, Token, read_token


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def compact(header: dict[str, Any], claims: Any, signature: bytes = b"s") -> bytes:
    return b".".join((b64(json.dumps(header).encode()), b64(json.dumps(claims).encode()), b64(signature)))


texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(texts, values, max_size=5), st.binary(min_size=1, max_size=80))
def test_what_was_written_is_read(claims: dict[str, Any], signature: bytes) -> None:
    raw = compact({"alg": "RS256", "kid": "k", "typ": "Application/JWT"}, claims, signature)
    token = read_token(raw)
    assert isinstance(token, Token)
    assert (token.alg, token.kid, token.typ) == ("RS256", "k", "jwt")
    assert token.claims == claims
    assert token.signature == signature
    assert raw.startswith(token.signed + b".")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text("AQgwabc-_.=+/", max_size=80).map(str.encode))
def test_anything_at_all_is_answered(raw: bytes) -> None:
    assert isinstance(read_token(raw), Token | Reason)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(b"ABCxyz019-_.=+/ \n\x00\xff"))
def test_a_token_has_one_spelling(position: int, octet: int) -> None:
    """No other octets mean the same three parts: what is remembered under one digest is one token."""
    raw = compact({"alg": "RS256"}, {"sub": "acme"}, b"signature")
    position %= len(raw)
    changed = raw[:position] + bytes([octet]) + raw[position + 1 :]
    token, other = read_token(raw), read_token(changed)
    assert isinstance(token, Token)
    if changed != raw and isinstance(other, Token):
        assert (other.signed, other.signature) != (token.signed, token.signature)


def test_depth_is_counted_exactly_where_it_matters() -> None:
    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    flat = {f"claim-{number}": {"roles": []} for number in range(40)}
    assert isinstance(read_token(compact({"alg": "RS256"}, flat)), Token), "many brackets, none deep"
    assert isinstance(read_token(compact({"alg": "RS256"}, {"a": nested(MAX_DEPTH - 1)})), Token)
    assert read_token(compact({"alg": "RS256"}, {"a": nested(MAX_DEPTH)})) is Reason.BAD_JSON
