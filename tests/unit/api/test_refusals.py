"""Every refusal tells in a sentence what to do, and every code stands on the page of those who meet it."""

from __future__ import annotations

import re

import orjson
import pytest

from gateway.api.errors import BadReply, Cause, GatewayFault, Unmappable, UpstreamError
from gateway.edge.faults import answer
from gateway.testing.exchange import make_exchange
from tests.unit.api.refusals import ROOT, refusals

ADVICE = re.compile(
    r"(?:^|[.;:,] |, and |, so )"
    r"(?:ask|begin|call|check|connect|correct|encode|end|get|leave|name|read|repeat|see|send|tell|try|use|write)\b",
    re.IGNORECASE,
).search

FOUND = refusals()
BY_CAUSE = {"upstream.unreachable", "upstream.reset", "upstream.protocol", "upstream.timeout", "upstream.overload"}
"""What stands after these in the sources is a part of what they tell; test_faults_tell makes them."""


def told(fault: GatewayFault) -> tuple[str, str]:
    response = answer(make_exchange(), fault)
    assert response is not None
    assert isinstance(response.body, bytes)
    document = orjson.loads(response.body)
    return document["code"], document["detail"]


def test_every_refusal_advises() -> None:
    codes = {refusal.code for refusal in FOUND if refusal.details}
    assert len(codes) > 100, "the search itself is broken"
    assert {refusal for refusal in FOUND if refusal.code not in codes} == set(), "a code that tells nothing"
    silent = [
        f"{refusal.place}: {refusal.code}: {detail}"
        for refusal in FOUND
        if refusal.code not in BY_CAUSE
        for detail in refusal.details
        if not ADVICE(detail)
    ]
    assert silent == [], "what is the caller to do?"


@pytest.mark.parametrize("sent", [False, True])
def test_faults_of_upstreams_advise(sent: bool) -> None:
    answers = [told(UpstreamError(cause, "head", sent=sent, upstream="orders", detail="10.1.2.3")) for cause in Cause]
    assert {code for code, _ in answers} == BY_CAUSE
    for _, detail in answers:
        assert ADVICE(detail)
        assert "10.1.2.3" not in detail
        assert ("may have done what was asked" in detail) is sent


@pytest.mark.parametrize(
    ("fault", "detail"),
    [
        (Unmappable("a string is expected", pointer="/name"), "a string is expected; correct the value at `pointer`."),
        (Unmappable("It has 3 octets."), "It has 3 octets; correct the request."),
        (BadReply("no secret 4711", where="Total"), "The upstream's answer does not fit its description; tell the operators the request id."),
    ],
    ids=["pointer", "no pointer", "answer"],
)  # fmt: skip
def test_what_adapters_cannot_write_or_read_advises(fault: GatewayFault, detail: str) -> None:
    assert told(fault)[1] == detail


def test_every_code_is_on_the_page_for_partners() -> None:
    page = (ROOT / "docs/partners.md").read_text(encoding="utf-8")
    written = set(re.findall(r"`([a-z_0-9]+\.[a-z0-9-]+)`", page))
    patterns = [re.escape(code).replace("…", "[a-z_-]+") for code in {refusal.code for refusal in FOUND}]
    partners = [pattern for pattern in patterns if not pattern.startswith("ops")]
    missing = [pattern for pattern in partners if not any(re.fullmatch(pattern, code) for code in written)]
    assert missing == []
    assert [code for code in written if not any(re.fullmatch(pattern, code) for pattern in partners)] == []
