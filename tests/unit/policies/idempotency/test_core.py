"""The table of states, the record as it is kept, and what statuses mean."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import policies.idempotency
from policies.idempotency.core import TABLE, Event, Record, State, Verdict, diagram, steps, verdict_of

NONE: frozenset[int] = frozenset()


def record(state=State.SENDING, **changed):
    made = {"owner": "o", "lease_until": 10.0, "expires": 20.0, "sendings": 1, "fingerprint": "f", "selector": "body"}
    return Record(state, **{**made, **changed})


def test_every_state_can_be_reached_and_left():
    assert set(TABLE.values()) == set(State)
    assert {before for before, _ in TABLE} == set(State)


def test_nothing_leads_from_a_final_answer_to_another_execution_but_time_and_operators():
    assert {event for state, event in TABLE if state is State.FINAL} == {Event.DISCARD, Event.END}


def test_whatever_was_sent_is_never_free_again_by_time_alone_before_its_end():
    assert steps(Event.EXPIRE) == {State.CLAIMED: State.FREE, State.SENDING: State.UNKNOWN}
    assert set(steps(Event.RETRY)) == {State.UNKNOWN}


def test_the_page_shows_the_table():
    page = (Path(policies.idempotency.__file__).parent / "README.md").read_text()
    assert re.search(r"```mermaid\n(.*?)\n```", page, re.DOTALL)[1] == diagram()


def test_a_lease_ends_in_an_unknown_outcome():
    assert record().at(9.9).state is State.SENDING
    assert record().at(10.0).state is State.UNKNOWN
    assert record(State.CLAIMED).at(9.9).state is State.CLAIMED
    assert record(State.CLAIMED).at(10.0) is None, "nothing was sent: the key is free"
    assert record(State.FINAL).at(11.0).state is State.FINAL


WORD = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
MILLISECONDS = st.integers(0, 10**13).map(lambda ms: ms / 1000)


@given(
    st.builds(
        Record,
        st.sampled_from(State),
        st.just("") | WORD.filter(lambda word: word != "-"),
        MILLISECONDS,
        MILLISECONDS,
        st.integers(1, 1000),
        WORD,
        WORD,
        st.binary(max_size=40),
    )
)
def test_a_record_reads_back_as_it_was(kept):
    assert Record.decode(kept.encode()) == kept


@pytest.mark.parametrize(
    ("verdict", "codes"),
    [
        (Verdict.FINAL, (200, 201, 204, 303, 400, 401, 404, 407, 409, 422, 500, 501, 505)),
        (Verdict.RELEASED, (408, 425, 429)),
        (Verdict.UNKNOWN, (502, 503, 504, 507, 599)),
    ],
)
def test_what_a_status_means(verdict, codes):
    assert {code: verdict_of(code, NONE, NONE) for code in codes} == dict.fromkeys(codes, verdict)


def test_what_the_configuration_says_of_a_status():
    assert verdict_of(503, frozenset({503}), NONE) is Verdict.FINAL
    assert verdict_of(404, NONE, frozenset({404})) is Verdict.RELEASED
    assert verdict_of(401, NONE, NONE, authenticates=True) is Verdict.RELEASED
    assert verdict_of(401, frozenset({401}), NONE, authenticates=True) is Verdict.FINAL
