"""Consumers (partners) as policies see them: who they are, their limits and how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` events per `seconds`."""

    count: float
    seconds: float

    @property
    def per_second(self) -> float:
        return self.count / self.seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """Figures of a tier, or of a consumer over its tier. None: none of that kind.

    Quota is (limit, window) with window one of hour, day, week, month.
    """

    rate: Rate | None = None
    burst: float | None = None  # set whenever rate is
    quota: tuple[int, str] | None = None
    concurrency: int | None = None


NO_LIMITS = Limits()
_NO_LABELS: Mapping[str, str] = MappingProxyType({})
_NO_ROUTES: Mapping[str, Limits] = MappingProxyType({})
_NO_ROLES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Consumer:
    """A partner."""

    name: str
    tier: str = ""
    limits: Limits = NO_LIMITS
    route_limits: Mapping[str, Limits] = field(default_factory=lambda: _NO_ROUTES)
    ip_allow: tuple[str, ...] = ()
    roles: frozenset[str] = _NO_ROLES
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)

    def __reduce__(self) -> tuple[Any, ...]:
        """Only what is not empty travels to workers: there are many consumers, and the empty rest is shared there."""
        return _consumer, ({one.name: value for one in fields(self) if (value := getattr(self, one.name))},)


def _consumer(given: dict[str, Any]) -> Consumer:
    return Consumer(**given)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One API key of a consumer. `expires` is Unix seconds, None for never; `sha256` is of the key."""

    consumer: Consumer
    key_id: str
    expires: float | None
    sha256: bytes


class Consumers(Protocol):
    """The table of consumers of one snapshot; every look-up is O(1)."""

    def by_name(self, name: str) -> Consumer | None: ...
    def by_client(self, issuer: str, client_id: str) -> Consumer | None: ...
    def by_key_digest(self, sha256: bytes) -> KeyEntry | None: ...
    def by_certificate(self, sha256: bytes, subject: str) -> Consumer | None: ...
    def names_issuer(self, issuer: str) -> bool:
        """Whether any consumer is found by a client of this issuer."""
        ...
