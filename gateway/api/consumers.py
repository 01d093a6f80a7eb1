"""Consumers (partners) as policies see them: who they are, their limits and how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


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


@dataclass(frozen=True, slots=True)
class Consumer:
    """A partner. Travels from supervisor to worker, so every field can be pickled."""

    name: str
    tier: str = ""
    limits: Limits = NO_LIMITS
    route_limits: Mapping[str, Limits] = field(default_factory=dict)
    ip_allow: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One API key of a consumer. `expires` is Unix seconds, None for never."""

    consumer: Consumer
    key_id: str
    expires: float | None


class Consumers(Protocol):
    """The table of consumers of one snapshot; every look-up is O(1)."""

    def by_name(self, name: str) -> Consumer | None: ...
    def by_client(self, issuer: str, client_id: str) -> Consumer | None: ...
    def by_key_digest(self, sha256: bytes) -> KeyEntry | None: ...
    def by_certificate(self, sha256: bytes, subject: str) -> Consumer | None: ...
    def names_issuer(self, issuer: str) -> bool:
        """Whether any consumer is found by a client of this issuer."""
        ...
