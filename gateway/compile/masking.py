"""A configuration as it may be shown: references instead of what they stand for, no credentials in URLs. Reads nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.api.config import Secret

_USER_INFORMATION = re.compile(r"://\S*@")  # to the last @: a password may hold a slash or an @, or be a reference


def masked(value: object) -> Any:
    """A value as it was written, and `redis://***@host` for URLs with user information."""
    match value:
        case Secret():
            return masked_url(value.reference)
        case str():
            return masked_url(value)
        case Mapping():
            return {key: masked(each) for key, each in value.items()}
        case list() | tuple():
            return [masked(each) for each in value]
        case _:
            return value


def masked_url(text: str) -> str:
    return _USER_INFORMATION.sub("://***@", text)


def secrets_in(raw: object) -> Iterator[Secret]:
    """Every interpolated value below `raw`."""
    if isinstance(raw, Secret):
        yield raw
    elif isinstance(raw, Mapping):
        for value in raw.values():
            yield from secrets_in(value)
    elif isinstance(raw, list | tuple):
        for value in raw:
            yield from secrets_in(value)


def without_secrets(message: str, secrets: Iterable[Secret]) -> str:
    """The message with references in place of what they stand for: a model's own words may hold the value."""
    for secret in secrets:
        value = str(secret)
        if len(value) > 2:
            message = message.replace(value, secret.reference)
    return message


def merged(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several files as one document: lists and mappings are joined, as the compiler joins them."""
    whole: dict[str, Any] = {}
    for document in documents:
        for key, value in document.items():
            present = whole.get(key)
            if isinstance(present, dict) and isinstance(value, Mapping):
                whole[key] = {**value, **present}
            elif isinstance(present, list) and isinstance(value, list):
                whole[key] = present + value
            else:
                whole.setdefault(key, value)
    return whole
