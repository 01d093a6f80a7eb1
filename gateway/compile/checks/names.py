"""Names at the top of gateway.yaml that refer to something: do they, and is what they name sound?"""

from __future__ import annotations

import os

from gateway.api.policy import CheckContext, Level
from gateway.api.settings.upstream import UpstreamConfig
from gateway.compile.checks.fields import check_fields
from gateway.compile.checks.units import check_store, check_store_url, check_unit
from gateway.compile.decode.blocks import Remarks
from gateway.compile.decode.policies import PolicySet
from gateway.compile.finding import suggestion
from gateway.compile.world import World


def check_names(world: World) -> None:
    notes = world.notes.on(world.main)
    _check_policies(world, world.main.global_policies, Level.GLOBAL, notes)
    _check_policies(world, world.main.default_policies, Level.DEFAULTS, notes)
    for upstream in world.upstreams.values():
        remarks, config = world.notes.on(upstream.unit), upstream.block.config
        _check_policies(world, upstream.policies, Level.UPSTREAM, remarks, config)
        if config is not None and config.auth is not None:
            # as gateway/upstream/credentials.py sends them
            fields = {name: value.strip().encode() for name, value in (config.auth.headers or {}).items()}
            check_fields(fields, (*upstream.block.keys, "auth", "headers"), remarks)
    for name, issuer in world.issuers.items():
        tier = issuer.config.tier if issuer.config else None
        if tier is not None and tier not in world.tier_names:
            what = f"there is no tier '{tier}'{suggestion(tier, world.tier_names)}"
            notes.add(("issuers", name, "tier"), what)
    settings = world.settings
    if settings is None:
        return
    if settings.store is not None:
        check_store(world, settings.store, ("store",), notes)
    for name, url in settings.stores.items():
        check_store_url(url, ("stores", name), notes)
    for index, name in enumerate(settings.ops.ready_requires):
        if name not in world.store_names and name not in world.issuers:
            what = f"there is no store or issuer '{name}'{suggestion(name, [*world.store_names, *world.issuers])}"
            notes.add(("ops", "ready_requires", index), what)
    _check_roles(world, notes)
    _check_listeners(world, notes)
    folder = str(world.main.file.folder.resolve())
    if settings.state is not None and os.path.commonpath([folder, os.path.abspath(settings.state)]) == folder:
        notes.add(("state",), "the state is kept outside the configuration folder, which may be replaced as a whole")


def _check_policies(
    world: World, policies: PolicySet, level: Level, notes: Remarks, upstream: UpstreamConfig | None = None
) -> None:
    known = {**world.main.default_policies.written, **policies.written}
    beside = {name: units[0].plan.config for name, units in known.items() if name not in policies.off}
    context = CheckContext(
        level,
        None,
        world.issuers_decoded,
        world.tiers,
        authenticated=False,
        upstream=upstream,
        beside=beside,
        settings=world.settings,
    )
    for name, units in policies.written.items():
        for unit in units:
            check_unit(world, unit, context, notes)
        if len({unit.plan.name for unit in units}) < len(units):
            notes.add(units[-1].keys, f"two of {name} have the same name; give each a `name` of its own")


def _check_roles(world: World, notes: Remarks) -> None:
    assert world.settings is not None, "asked for with settings only"
    for role, table in world.settings.roles.items():
        for route, methods in table.items():
            if route not in world.route_names:
                what = f"there is no route '{route}'{suggestion(route, world.route_names)}"
                notes.add(("roles", role, route), what, at_key=True)
            if methods != "all":
                for index, method in enumerate(methods):
                    if not method.isupper():
                        notes.add(("roles", role, route, index), "methods are written in upper case, as in [GET, POST]")


def _check_listeners(world: World, notes: Remarks) -> None:
    assert world.settings is not None, "asked for with settings only"
    seen: set[object] = set()
    ops = world.settings.ops
    for index, listener in enumerate(world.settings.listen):
        address: object = listener.unix or (listener.host, listener.port)
        if listener.port != 0 and address in seen:
            notes.add(("listen", index), "two listeners have the same address")
        seen.add(address)
        if listener.unix is None and listener.port == ops.port != 0 and listener.host in (ops.host, "0.0.0.0", "::"):  # noqa: S104
            notes.add(("listen", index), "the ops port (`ops.port`) has the same address")
