"""What a caller prefers: Accept, Accept-Encoding and their like (RFC 9110 §12). Knows nothing of what is offered but its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.http.fields import split_list, split_parameters

_WEIGHT = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch  # RFC 9110 §12.4.2


class Preference(NamedTuple):
    value: str  # lower case: `text/*`, `gzip`, `*`
    parameters: tuple[tuple[str, str], ...]  # of a media range, without the weight
    quality: float  # 0.0: not acceptable


def parse_preferences(raw: bytes) -> list[Preference]:
    """The elements of an Accept-like field, in order. A malformed element is passed over, as if it were not there."""
    preferences = []
    for element in split_list(raw):
        parsed = split_parameters(element)
        if parsed is None:
            continue
        value, parameters = parsed
        weight = parameters.pop(b"q", b"1")
        if not value or not _WEIGHT(weight):
            continue
        preferences.append(
            Preference(
                value.decode("latin-1").lower(),
                tuple((name.decode("latin-1"), text.decode("latin-1").lower()) for name, text in parameters.items()),
                float(weight),
            )
        )
    return preferences


def media_quality(preferences: Iterable[Preference], media: str, parameters: Iterable[tuple[str, str]] = ()) -> float:
    """How much a media type is wanted; the most specific range counts (RFC 9110 §12.5.1). 0.0: not at all."""
    kind = media.partition("/")[0] + "/*"
    given = set(parameters)
    best, quality = (-1, -1), 0.0
    for preference in preferences:
        if not given.issuperset(preference.parameters):
            continue
        level = (
            2
            if preference.value == media
            else 1
            if preference.value == kind
            else 0
            if preference.value == "*/*"
            else -1
        )
        if level >= 0 and (level, len(preference.parameters)) > best:
            best, quality = (level, len(preference.parameters)), preference.quality
    return quality


def best_media(raw: bytes | None, offered: Sequence[str]) -> str | None:
    """The offered media type that is wanted most, the first of equals; None when none is. No Accept wants anything."""
    if raw is None:
        return offered[0]
    preferences = parse_preferences(raw)
    ranked = [(media_quality(preferences, media), -at) for at, media in enumerate(offered)]
    quality, at = max(ranked)
    return offered[-at] if quality > 0 else None


def coding_quality(preferences: Iterable[Preference], coding: str) -> float:
    """How much a content coding is wanted (RFC 9110 §12.5.3); `identity` always is unless it is excluded."""
    default = 1.0 if coding == "identity" else 0.0
    star: float | None = None
    for preference in preferences:
        if preference.value in (coding, f"x-{coding}"):  # RFC 9110 §8.4.1.3: x-gzip is gzip
            return preference.quality
        if preference.value == "*" and star is None:
            star = preference.quality
    if star is None:
        return default
    # `*` stands for codings not named; identity it can only exclude
    return star if coding != "identity" or star == 0 else default


def best_coding(raw: bytes | None, offered: Sequence[str]) -> str | None:
    """The offered coding to use, the first of equals; None: send it as it is.

    Without the field no coding is used: it would be allowed, but who does not ask may be unable to read it.
    """
    if raw is None:
        return None
    preferences = parse_preferences(raw)
    ranked = [(coding_quality(preferences, coding), -at) for at, coding in enumerate(offered)]
    quality, at = max(ranked, default=(0.0, 0))
    return offered[-at] if quality > 0 else None
