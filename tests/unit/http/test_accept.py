"""Preferences (RFC 9110 §12)."""

from __future__ import annotations

import pytest

from gateway.http.accept import coding_quality, parse_preferences


@pytest.mark.parametrize(
    ("raw", "quality"),
    [
        (b"", 0), (b"identity", 0), (b"gzip", 1), (b"GZIP", 1), (b"x-gzip;q=0.4", 0.4), (b"br, gzip;q=0.5", 0.5), (b"*", 1), (b"*;q=0.3, br", 0.3), (b"br;q=0, *", 1), (b"*;q=0", 0),
        (b"gzip;q=0.000", 0), (b"gzip;q=1.0000", 0), (b"gzip;q=2", 0), (b";q=1, gzip;level, br", 0),
    ],
)  # fmt: skip
def test_codings(raw: bytes, quality: float) -> None:
    assert coding_quality(parse_preferences(raw), "gzip") == quality


@pytest.mark.parametrize(
    ("raw", "quality"),
    [(b"", 1), (b"gzip", 1), (b"identity;q=0", 0), (b"*;q=0", 0), (b"*;q=0.2", 1), (b"identity;q=0.5, *;q=0", 0.5)],
)
def test_identity(raw: bytes, quality: float) -> None:
    assert coding_quality(parse_preferences(raw), "identity") == quality
