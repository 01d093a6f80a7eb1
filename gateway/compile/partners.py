"""Plans of consumers: their limits settled over their tier's, and what finds them. Knows no routes but by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern
from types import MappingProxyType

from gateway.api.consumers import Consumer, Limits
from gateway.api.settings.consumer import ConsumerConfig
from gateway.compile.decode.blocks import Remarks
from gateway.compile.decode.errors import Keys
from gateway.compile.decode.units import Named
from gateway.compile.finding import listed, suggestion
from gateway.compile.plan import ConsumerPlan
from gateway.compile.world import World

_NONE: Mapping[str, Limits] = MappingProxyType({})


class Partners:
    """Makes plans of consumers within one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tiers = {name: tier.limits() for name, tier in world.tiers.items()}
        self._only_issuer = next(iter(world.issuers)) if len(world.issuers) == 1 else None

    def plan(self, consumer: Named[ConsumerConfig], remarks: Remarks) -> ConsumerPlan | None:
        config = consumer.config
        if config is None:
            return None
        self._check(consumer.keys, config, remarks)
        tier = self._tiers.get(config.tier or "", Limits())
        limits = config.limits.limits(tier)
        if limits == tier:
            limits = tier  # there are many consumers, so what is equal is one object: in workers, too, by way of pickle
        routes: Mapping[str, Limits] = _NONE
        if config.limits.routes:
            routes = {name: figures.limits() for name, figures in config.limits.routes.items()}
        return ConsumerPlan(
            Consumer(
                consumer.name,
                intern(config.tier or ""),
                limits,
                routes,
                config.ip_allow,
                frozenset(config.roles),
                config.labels,
            ),
            tuple(self._clients(config)),
            tuple((bytes.fromhex(key.sha256), intern(key.id), key.expires) for key in config.api_keys),
            tuple(bytes.fromhex(each.sha256) if each.sha256 else each.subject or "" for each in config.certificates),
        )

    def _clients(self, config: ConsumerConfig) -> Iterator[tuple[str, str]]:
        if self._only_issuer is not None:
            for client_id in config.client_ids:
                yield self._only_issuer, client_id
        for token in config.tokens:
            yield token.issuer, token.client_id

    def _check(self, keys: Keys, config: ConsumerConfig, remarks: Remarks) -> None:
        world = self._world
        if config.tier is not None and config.tier not in world.tier_names:
            what = f"there is no tier '{config.tier}'{suggestion(config.tier, world.tier_names)}"
            remarks.add((*keys, "tier"), what)
        if config.client_ids and self._only_issuer is None:
            if world.issuers:
                what = f"there are several issuers ({listed(sorted(world.issuers), 'and')}); write `tokens`, which name theirs"
            else:
                what = "there is no issuer under `issuers` whose clients these could be"
            remarks.add((*keys, "client_ids"), what)
        for index, token in enumerate(config.tokens):
            if token.issuer not in world.issuers:
                what = f"there is no issuer '{token.issuer}'{suggestion(token.issuer, world.issuers)}"
                remarks.add((*keys, "tokens", index, "issuer"), what)
        for route in config.limits.routes:
            if route not in world.route_names:
                what = f"there is no route '{route}'{suggestion(route, world.route_names)}"
                remarks.add((*keys, "limits", "routes", route), what, at_key=True)
        roles = world.settings.roles if world.settings else {}
        for index, role in enumerate(config.roles):
            if roles and role not in roles:
                what = f"there is no role '{role}'{suggestion(role, roles)}"
                remarks.add((*keys, "roles", index), what, "warning")
        if config.limits.burst is not None and config.limits.rate is None and not self._rate_of(config):
            remarks.add((*keys, "limits", "burst"), "burst without rate says nothing; add rate")

    def _rate_of(self, config: ConsumerConfig) -> bool:
        return self._tiers.get(config.tier or "", Limits()).rate is not None
