"""What the configuration has a place for and this version does not do yet. An entry goes when its machinery comes.

Nothing that ops write is ignored in silence: what stands here is an error that says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api.config import is_off

Keys = tuple[str | int, ...]


def _written(value: object) -> bool:
    return value is not None and not is_off(value)


def _other_than(*available: object) -> Callable[[object], bool]:
    return lambda value: value not in available


@dataclass(frozen=True, slots=True)
class _Missing:
    """`section` is a top-level key, `settings`, or `policies.NAME`; `*` in `keys` stands for every entry."""

    section: str
    keys: tuple[str, ...]
    what: str
    when: Callable[[Any], bool] = _written


_TABLE = (_Missing("settings", ("listen", "protocols", "*"), "HTTP/2 towards callers", _other_than("http1")),)

# Words of the configuration's contract that an installation may lack.
_LIMITS = ("rate_limit", "quota", "concurrency")
_RESILIENCE = ("bulkhead", "retry", "breaker", "timeout")
AUTHENTICATORS = frozenset(("oauth2", "api_key", "mtls"))
POLICIES = frozenset(
    (
        *AUTHENTICATORS,
        *_LIMITS,
        *_RESILIENCE,
        "ip_allow",
        "cors",
        "headers",
        "request_size",
        "compress",
        "idempotency",
        "cache",
    )
)
ADAPTERS = frozenset(("soap", "fixed_width"))

_BY_SECTION: defaultdict[str, list[_Missing]] = defaultdict(list)
for _entry in _TABLE:
    _BY_SECTION[_entry.section].append(_entry)


def unavailable(section: str, raw: object) -> Iterator[tuple[Keys, str]]:
    """Where in a block something stands that this version does not do, and the sentence that says so."""
    if isinstance(raw, Mapping):
        for entry in _BY_SECTION.get(section, ()):
            if entry.keys[0] in raw:
                for keys, value in _at(raw, entry.keys):
                    if entry.when(value):
                        yield keys, sentence(entry.what)


def sentence(what: str) -> str:
    return f"{what} is not available in this version"


def _at(raw: object, keys: tuple[str, ...]) -> Iterator[tuple[Keys, object]]:
    if not keys:
        yield (), raw
    elif isinstance(raw, list) and keys[0] != "*":  # one mapping or a list of them
        for index, item in enumerate(raw):
            yield from (((index, *below), value) for below, value in _at(item, keys))
    elif keys[0] == "*" and isinstance(raw, list | dict):
        items = enumerate(raw) if isinstance(raw, list) else raw.items()
        for name, item in items:
            yield from (((name, *below), value) for below, value in _at(item, keys[1:]))
    elif isinstance(raw, Mapping) and keys[0] in raw:
        yield from (((keys[0], *below), value) for below, value in _at(raw[keys[0]], keys[1:]))
