"""A configuration, compiled: pure, picklable data that the supervisor sends and a worker builds from.

Every route carries a fingerprint over all that it refers to (upstream, issuers, tiers, defaults, global, contents of
files, resolved secrets), so a worker rebuilds only what changed. Consumers are a table of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.api.config import Block, PolicyBlock
from gateway.api.consumers import Consumer
from gateway.api.policy import Level
from gateway.api.settings.document import Settings
from gateway.api.settings.issuer import IssuerConfig
from gateway.api.settings.route import RouteConfig
from gateway.api.settings.upstream import UpstreamConfig


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """One policy instance that applies, after precedence was settled."""

    policy: str  # the PolicySpec's name
    name: str  # unique on its route; `global-` leads at global level
    level: Level  # where it was written
    config: PolicyBlock
    place: Place


@dataclass(frozen=True, slots=True)
class AdapterPlan:
    adapter: str
    config: Block
    files: Mapping[str, bytes]  # what it reads, by the path as ops wrote it


@dataclass(frozen=True, slots=True)
class RoutePlan:
    name: str
    fingerprint: bytes
    config: RouteConfig
    policies: tuple[PolicyPlan, ...]  # every one that applies, global ones included, in no particular order
    auth: tuple[str, tuple[str, ...]] | None  # ("any" | "all", authenticators' names) when there are several
    adapter: AdapterPlan | None
    place: Place


@dataclass(frozen=True, slots=True)
class UpstreamPlan:
    name: str
    fingerprint: bytes
    config: UpstreamConfig
    policies: tuple[PolicyPlan, ...]


@dataclass(frozen=True, slots=True)
class ConsumerPlan:
    """A consumer and what finds it."""

    consumer: Consumer
    clients: tuple[tuple[str, str], ...]  # (issuer, client_id)
    keys: tuple[tuple[bytes, str, float | None], ...]  # (sha256, key id, expires as Unix seconds)
    certificates: tuple[bytes | str, ...]  # the SHA-256 of one, or a subject


@dataclass(frozen=True, slots=True)
class Plan:
    version: str  # short digest of everything; equal configurations have equal versions
    settings: Settings  # listen, ops, log, drain, streams, stores, proxy, public_url, problem_base ...
    routes: Mapping[str, RoutePlan]
    upstreams: Mapping[str, UpstreamPlan]
    issuers: Mapping[str, IssuerConfig]
    consumers: Mapping[str, ConsumerPlan]
    unmatched: tuple[PolicyPlan, ...]  # the global policies, for requests that match no route
