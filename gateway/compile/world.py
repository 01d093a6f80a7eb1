"""All files of a configuration together: who is called what, and what each route may refer to. Decides no precedence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel

from gateway.api.settings.consumer import TierConfig
from gateway.api.settings.document import Settings
from gateway.api.settings.issuer import IssuerConfig
from gateway.api.settings.upstream import UpstreamConfig
from gateway.compile.decode.blocks import Remarks, digest_of
from gateway.compile.decode.policies import EMPTY, PolicySet
from gateway.compile.decode.units import FileUnit, Named, RouteUnit
from gateway.compile.finding import Finding
from gateway.compile.plan import Place
from gateway.compile.registry import Registry

M = TypeVar("M", bound=BaseModel)


def mixed(*parts: bytes) -> bytes:
    """One digest of several, which know their own ends."""
    hashed = blake2b(digest_size=16)
    for part in parts:
        hashed.update(len(part).to_bytes(4, "big") + part)
    return hashed.digest()


@dataclass(frozen=True, slots=True)
class Upstream:
    """An upstream with its policies."""

    block: Named[UpstreamConfig]
    policies: PolicySet
    unit: FileUnit


@dataclass(slots=True)
class Notes:
    """Remarks on all files; each file's findings are made once, at the end."""

    _by_file: dict[str, Remarks] = field(default_factory=dict)

    def on(self, unit: FileUnit) -> Remarks:
        return self._by_file.setdefault(unit.file.name, Remarks(unit.file))

    def findings(self) -> Iterator[Finding]:
        for remarks in self._by_file.values():
            yield from remarks.findings()


@dataclass(frozen=True)
class Owned(Generic[M]):
    """A block and the file that holds it."""

    block: Named[M]
    unit: FileUnit


class World:
    """What the routes of one configuration live in. Files are given with gateway.yaml first."""

    def __init__(self, units: Sequence[FileUnit], registry: Registry, notes: Notes) -> None:
        self.units = units
        self.main = units[0]
        self.registry = registry
        self.notes = notes
        self.settings: Settings | None = self.main.settings
        raw_tiers = self.main.file.value.get("tiers")
        self.tier_names: frozenset[str] = (
            frozenset(map(str, raw_tiers)) if isinstance(raw_tiers, Mapping) else frozenset()
        )
        self.tiers: Mapping[str, TierConfig] = self.settings.tiers if self.settings else {}
        self.consumers = dict(self._unique("consumers", lambda unit: unit.consumers))
        self.open_by_default: set[str] = set()  # issuers whose unknown callers pass, though nobody wrote so
        self.issuers = self._issuers()
        self.upstreams = {
            name: Upstream(owned.block, owned.unit.upstream_policies.get(name, EMPTY), owned.unit)
            for name, owned in self._unique("upstreams", lambda unit: unit.upstreams)
        }
        self.routes = list(self._routes())

    def _issuers(self) -> dict[str, Named[IssuerConfig]]:
        """Issuers, with `unknown_consumer` decided; their digests cover that, and the tier that they refer to."""
        named = self._named_by_consumers()
        found = {}
        for name, issuer in self.main.issuers.items():
            config = issuer.config
            digest = issuer.digest
            if config is not None:
                if config.unknown_consumer is None:
                    decided = "refuse" if name in named else "allow"
                    config = config.model_copy(update={"unknown_consumer": decided})
                    if decided == "allow":
                        self.open_by_default.add(name)
                tier = self.tiers.get(config.tier or "")
                figures = b"" if tier is None else orjson.dumps(tier.model_dump(mode="json"))
                digest = mixed(digest, str(config.unknown_consumer).encode(), figures)
            found[name] = Named(name, config, issuer.keys, issuer.place, digest)
        return found

    def _named_by_consumers(self) -> set[str]:
        """Issuers that consumers name: by `tokens`, or by `client_ids` when there is only one issuer."""
        configs = [owned.block.config for owned in self.consumers.values() if owned.block.config is not None]
        named = {token.issuer for config in configs for token in config.tokens}
        if len(self.main.issuers) == 1 and any(config.client_ids for config in configs):
            named.update(self.main.issuers)
        return named

    def _unique(
        self, section: str, blocks: Callable[[FileUnit], Mapping[str, Named[M]]]
    ) -> Iterator[tuple[str, Owned[M]]]:
        first: dict[str, Place] = {}
        for unit in self.units:
            for name, block in blocks(unit).items():
                if name in first:
                    self._twice(unit, block.keys, name, first[name])
                else:
                    first[name] = block.place
                    yield name, Owned(block, unit)

    def _routes(self) -> Iterator[tuple[FileUnit, RouteUnit]]:
        first: dict[str, Place] = {}
        for unit in self.units:
            for route in unit.routes:
                if route.name and route.name in first:
                    self._twice(unit, (*route.keys, "name"), route.name, first[route.name])
                else:
                    first[route.name] = route.place
                    yield unit, route

    def _twice(self, unit: FileUnit, keys: tuple[str | int, ...], name: str, first: Place) -> None:
        self.notes.on(unit).add(keys, f"the name '{name}' is given twice; first at {first}", at_key=keys[-1] != "name")

    @cached_property
    def issuers_decoded(self) -> Mapping[str, IssuerConfig]:
        return {name: issuer.config for name, issuer in self.issuers.items() if issuer.config is not None}

    @cached_property
    def route_names(self) -> frozenset[str]:
        return frozenset(route.name for _, route in self.routes)

    @cached_property
    def store_names(self) -> frozenset[str]:
        return frozenset(self.settings.stores) if self.settings else frozenset()

    @cached_property
    def base(self) -> bytes:
        """What every route depends on: the stores by name, and the default among them."""
        settings = self.settings
        return b"" if settings is None else digest_of([settings.store, dict(settings.stores)])

    @cached_property
    def grants(self) -> Mapping[str, bytes]:
        """For each route that the table `roles` names: a digest of what it says of it."""
        roles = self.settings.roles if self.settings else {}
        by_route: dict[str, list[Any]] = {}
        for role, table in roles.items():
            for route, methods in table.items():
                by_route.setdefault(route, []).append([role, methods])
        return {route: digest_of(granted) for route, granted in by_route.items()}

    @cached_property
    def route_context(self) -> bytes:
        """Covers everything outside its own file that any route's plan and findings depend on."""
        named: Iterable[tuple[str, bytes]] = sorted(
            [(f"u:{name}", self._upstream_context(upstream)) for name, upstream in self.upstreams.items()]
            + [(f"i:{name}", issuer.digest) for name, issuer in self.issuers.items()]
            + [(f"r:{name}", digest) for name, digest in self.grants.items()]
        )
        main = {
            key: self.main.file.value.get(key)
            for key in ("global", "defaults", "tiers", "drain", "store", "stores", "state")
        }
        # places too: a plan says where an inherited policy is written
        places = sorted((str(keys), place) for keys, place in self.main.file.marks.items() if keys[0] != "routes")
        parts = [part for name, digest in named for part in (name.encode(), digest)]
        return mixed(self.base, digest_of(main), repr(places).encode(), *parts)

    @cached_property
    def consumer_context(self) -> bytes:
        """Covers everything outside its own file that any consumer's plan and findings depend on."""
        tiers = {name: tier.model_dump(mode="json") for name, tier in self.tiers.items()}
        roles = sorted(self.settings.roles) if self.settings else []
        return digest_of([tiers, sorted(self.tier_names), sorted(self.issuers), roles, sorted(self.route_names)])

    def _upstream_context(self, upstream: Upstream) -> bytes:
        units = [unit for each in upstream.policies.written.values() for unit in each]
        policies = [part for unit in units for part in (str(unit.plan.place).encode(), unit.digest)]
        off = ",".join(sorted(upstream.policies.off | upstream.policies.broken)).encode()
        return mixed(upstream.block.digest, off, *policies)
