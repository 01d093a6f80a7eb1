"""traceparent (W3C Trace Context)."""

from __future__ import annotations

import pytest

from gateway.http.trace import trace_id_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    "raw",
    [
        f"00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-fe",
        f"cc-{TRACE}-{PARENT}-03",
        f"cc-{TRACE}-{PARENT}-01-what-the-future",
    ],
)
def test_good(raw: str) -> None:
    assert trace_id_of(raw.encode()) == TRACE


@pytest.mark.parametrize(
    "raw",
    [
        "", TRACE, f"00-{TRACE}-{PARENT}", f"00-{TRACE}-{PARENT}-01-x", f"00-{TRACE}-{PARENT}-01-", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01", f"00-{TRACE[1:]}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01x", f"0-{TRACE}-{PARENT}-01", f" 00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01\n",
    ],
)  # fmt: skip
def test_bad(raw: str) -> None:
    assert trace_id_of(raw.encode()) == ""
