"""What a caller prefers: Accept-Encoding and its like (RFC 9110 §12). Knows nothing of what is offered but its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gateway.http.fields import split_list, split_parameters

_WEIGHT = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch  # RFC 9110 §12.4.2


class Preference(NamedTuple):
    value: str  # lower case: `gzip`, `*`
    quality: float  # 0.0: not acceptable


def parse_preferences(raw: bytes) -> list[Preference]:
    """The elements of a field like Accept-Encoding, in order. A malformed element is passed over, as if it were not there."""
    preferences = []
    for element in split_list(raw):
        parsed = split_parameters(element)
        if parsed is None:
            continue
        value, parameters = parsed
        weight = parameters.get(b"q", b"1")
        if not value or not _WEIGHT(weight):
            continue
        preferences.append(Preference(value.decode("latin-1").lower(), float(weight)))
    return preferences


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
