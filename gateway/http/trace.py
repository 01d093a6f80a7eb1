"""traceparent (W3C Trace Context, level 1 §3.2): which trace a request belongs to. Makes no spans."""

from __future__ import annotations

import re

# §3.2.2: lower-case hex only. §4.3: of a version that we do not know, the known fields are read and what follows is not
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.DOTALL).fullmatch
_NO_TRACE = b"0" * 32
_NO_PARENT = b"0" * 16


def trace_id_of(raw: bytes) -> str:
    """The trace that a request says it belongs to, 32 hex digits; "" when the field is malformed, and then there is none."""
    found = _TRACEPARENT(raw)
    if found is None:
        return ""
    version, trace, parent, more = found.groups()
    # §3.2.2.1: version ff is invalid, 00 ends after the flags; §3.2.2.3 and .4: all zeroes are invalid
    if version == b"ff" or (version == b"00" and more) or trace == _NO_TRACE or parent == _NO_PARENT:
        return ""
    return trace.decode("ascii")
