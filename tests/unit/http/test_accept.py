"""Preferences (RFC 9110 §12), with the RFC's own examples."""

from __future__ import annotations

import pytest

from gateway.http.accept import best_coding, best_media, coding_quality, media_quality, parse_preferences


@pytest.mark.parametrize(
    ("media", "parameters", "quality"),
    [
        ("text/plain", [("format", "flowed")], 1),
        ("text/plain", [], 0.7),
        ("text/html", [], 0.3),
        ("image/jpeg", [], 0.5),
        ("text/plain", [("format", "fixed")], 0.4),
        ("text/html", [("level", "3")], 0.3),
    ],
)
def test_the_most_specific_range_counts(media: str, parameters: list[tuple[str, str]], quality: float) -> None:
    # RFC 9110 §12.5.1
    raw = b"text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"
    # text/html has no range of its own here, so text/* decides
    assert media_quality(parse_preferences(raw), media, parameters) == quality


@pytest.mark.parametrize(
    ("raw", "best"),
    [
        (None, "application/json"),
        (b"", None),
        (b"*/*", "application/json"),
        (b"text/html", "text/html"),
        (b"TEXT/HTML;q=0.9, application/json;q=0.8", "text/html"),
        (b"application/*;q=0.5, text/html;q=0.5", "application/json"),
        (b"application/json;q=0, */*;q=0.1", "text/html"),
        (b"image/png", None),
        (b"text/html;q=2, application/json;q=x, ;q=1, text/html;level", None),
    ],
)
def test_media(raw: bytes | None, best: str | None) -> None:
    assert best_media(raw, ["application/json", "text/html"]) == best


@pytest.mark.parametrize(
    ("raw", "best"),
    [
        (None, None), (b"", None), (b"identity", None), (b"gzip", "gzip"), (b"x-gzip", "gzip"), (b"GZIP, br", "br"), (b"gzip;q=1.0, br;q=0.5", "gzip"), (b"*", "br"), (b"*;q=0", None),
        (b"br;q=0, *", "gzip"), (b"gzip;q=0.000", None), (b"gzip;q=1.0000", None),
    ],
)  # fmt: skip
def test_codings(raw: bytes | None, best: str | None) -> None:
    assert best_coding(raw, ["br", "gzip"]) == best


@pytest.mark.parametrize(
    ("raw", "quality"),
    [(b"", 1), (b"gzip", 1), (b"identity;q=0", 0), (b"*;q=0", 0), (b"*;q=0.2", 1), (b"identity;q=0.5, *;q=0", 0.5)],
)
def test_identity(raw: bytes, quality: float) -> None:
    assert coding_quality(parse_preferences(raw), "identity") == quality
