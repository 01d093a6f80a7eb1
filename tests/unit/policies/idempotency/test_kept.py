"""Answers as they are kept: as they were, under a key, under another one, changed."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.idempotency.kept import Answer, Keyring, UnreadableError

OCTETS = st.binary(max_size=40)
ANSWERS = st.builds(
    Answer,
    st.integers(200, 599),
    st.lists(st.tuples(OCTETS, OCTETS), max_size=4).map(tuple),
    OCTETS,
    st.booleans(),
    st.text(),
)
OLD, NEW = "0f" * 32, "-_8" * 14 + "8"  # hex, and base64url without padding
ANSWER = Answer(201, ((b"x-a", b"1"),), b'{"card":"4111"}')


@given(ANSWERS, st.sampled_from([None, OLD, NEW, f"{NEW}\n{OLD}\n"]))
def test_it_reads_back_as_it_was(answer, text):
    ring = Keyring(text)
    assert ring.read(ring.keep(answer, "place"), "place") == answer


def test_nothing_of_it_can_be_seen():
    ring = Keyring(OLD)
    first, second = ring.keep(ANSWER, "p"), ring.keep(ANSWER, "p")
    assert b"4111" not in first
    assert first != second, "a nonce is used once"


def test_keys_can_be_replaced():
    before, between, after = Keyring(OLD), Keyring(f"{NEW} {OLD}"), Keyring(NEW)
    kept = before.keep(ANSWER, "p")
    assert between.read(kept, "p") == ANSWER
    assert between.writes == after.writes != before.writes
    assert set(between.secrets) == {*before.secrets, *after.secrets}
    assert between.read(Keyring(None).keep(ANSWER, "p"), "p") == ANSWER, "kept before there was a key"
    with pytest.raises(UnreadableError, match="not there"):
        after.read(kept, "p")
    with pytest.raises(UnreadableError, match="not there"):
        Keyring(None).read(kept, "p")


def test_it_belongs_to_its_key_and_is_whole():
    ring = Keyring(OLD)
    kept = ring.keep(ANSWER, "p")
    with pytest.raises(UnreadableError, match="changed"):
        ring.read(kept, "q")
    for at in range(9, len(kept)):
        with pytest.raises(UnreadableError, match="changed"):
            ring.read(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :], "p")


@pytest.mark.parametrize(
    "text",
    ["", " \n", "0f" * 16, "0f" * 33, "secret", "é", "\ud800" * 32, secrets.token_hex(32)[:-1] + "!"],
    ids=["empty", "blank", "16 octets", "33 octets", "a word", "not ASCII", "half a character", "a sign too much"],
)
def test_what_is_no_key(text):
    with pytest.raises(ValueError) as wrong:
        Keyring(text)
    assert not text.strip() or text not in str(wrong.value)
