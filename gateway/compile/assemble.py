"""Settles what applies to a route: precedence, implied policies, who is public. And says what does not go together there.

Precedence, per policy name and whole: route over upstream over defaults; `off` takes an inherited one away; a public route
drops inherited authenticators and whatever needs a caller; global policies always apply, beside the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from gateway.api.config import PolicyBlock
from gateway.api.policy import CheckContext, Level, Need, Slot
from gateway.api.settings.route import AuthConfig, RouteConfig
from gateway.compile.available import AUTHENTICATORS, POLICIES
from gateway.compile.decode.blocks import Remarks, complain
from gateway.compile.decode.errors import Keys
from gateway.compile.decode.policies import ALWAYS_ON, AUTH, PolicyUnit, has_field, unit_of
from gateway.compile.decode.units import FileUnit, RouteUnit
from gateway.compile.finding import listed, suggestion
from gateway.compile.plan import Place, PolicyPlan, RoutePlan
from gateway.compile.world import Upstream, World, mixed

BODY_LIMIT = "request_size"  # a route that buffers bodies has it, with its default, unless it says otherwise

NOT_CALLERS = POLICIES - AUTHENTICATORS
NEEDS_CALLER = (Slot.LIMIT, Slot.AUTHORIZE)


class Assembly:
    """Makes plans of routes, one at a time, within one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._specs = world.registry.policies
        self._implied_configs: dict[str, PolicyBlock] = {}
        self._inherited: dict[str | None, Mapping[str, tuple[PolicyUnit, ...]]] = {}

    @cached_property
    def everywhere(self) -> tuple[PolicyUnit, ...]:
        """The global policies."""
        return tuple(unit for units in self._world.main.global_policies.written.values() for unit in units)

    @cached_property
    def everywhere_plans(self) -> tuple[PolicyPlan, ...]:
        return tuple(unit.plan for unit in self.everywhere)

    def route(self, unit: FileUnit, route: RouteUnit, remarks: Remarks) -> RoutePlan | None:
        """The route's plan; None when it is wrong, which findings or remarks say."""
        config = route.config
        if config is None:
            return None
        upstream = self._world.upstreams.get(config.upstream) if config.upstream else None
        self._check_target(route, config, remarks)
        inherited = {name: each for name, each in self._inherit(config.upstream).items() if self._survives(name, route)}
        own = route.policies.written
        authenticated = self._authentication(route, config, inherited, own, remarks)
        self._drop_what_needs_a_caller(route, inherited, own, authenticated, remarks)
        effective = [each for group in (*inherited.values(), *own.values()) for each in group]
        effective += self._implied(route, effective, remarks)
        auth = self._auth(route, effective, remarks)
        self._check_names(effective, route, remarks)
        self._check_own(own, config, unit, authenticated, remarks)
        self._check_shadow(route, effective, remarks)
        if route.match is None or (config.upstream and upstream is None) or (route.wants_adapter and not route.adapter):
            return None
        policies = (*self.everywhere_plans, *(each.plan for each in effective))
        fingerprint = self._fingerprint(route, upstream.block.digest if upstream else b"", effective, auth)
        return RoutePlan(route.name, fingerprint, config, policies, auth, route.adapter, route.place)

    def upstream_plans(self, upstream: Upstream) -> tuple[PolicyPlan, ...]:
        """What is written on an upstream itself."""
        return tuple(unit.plan for units in upstream.policies.written.values() for unit in units)

    # What applies

    def _inherit(self, upstream_name: str | None) -> Mapping[str, tuple[PolicyUnit, ...]]:
        known = self._inherited.get(upstream_name)
        if known is None:
            known = self._world.main.default_policies.written
            upstream = self._world.upstreams.get(upstream_name) if upstream_name else None
            if upstream is not None:
                replaced = upstream.policies.off | upstream.policies.broken
                known = {name: each for name, each in known.items() if name not in replaced}
                known.update(upstream.policies.written)
            self._inherited[upstream_name] = known
        return known

    def _survives(self, name: str, route: RouteUnit) -> bool:
        own = route.policies
        return name not in own.written and name not in own.off and name not in own.broken

    def _implied(self, route: RouteUnit, effective: list[PolicyUnit], remarks: Remarks) -> Iterator[PolicyUnit]:
        names = {each.plan.policy for each in effective} | route.policies.broken
        if ALWAYS_ON in self._specs and ALWAYS_ON not in names:
            yield self._default(ALWAYS_ON, route.place)
        if BODY_LIMIT not in names and BODY_LIMIT in self._specs and self._buffers(route, effective):
            if BODY_LIMIT in route.policies.off:
                why = "this route holds whole request bodies in memory, which needs a limit"
                remarks.add((*route.keys, "policies", BODY_LIMIT), why)
            else:
                yield self._default(BODY_LIMIT, route.place)

    def _buffers(self, route: RouteUnit, effective: Iterable[PolicyUnit]) -> bool:
        return route.wants_adapter or any(
            each.spec.request_body(each.plan.config) is Need.BUFFER for each in (*self.everywhere, *effective)
        )

    def _default(self, policy: str, place: Place) -> PolicyUnit:
        spec = self._specs[policy]
        config = self._implied_configs.get(policy) or self._implied_configs.setdefault(policy, spec.config())
        return unit_of(spec, Level.DEFAULTS, config, (), place, policy.encode())

    def _fingerprint(
        self,
        route: RouteUnit,
        upstream: bytes,
        effective: Iterable[PolicyUnit],
        auth: tuple[str, tuple[str, ...]] | None,
    ) -> bytes:
        world = self._world
        parts = [world.base, route.digest, upstream, world.grants.get(route.name, b""), repr(auth).encode()]
        for each in (*self.everywhere, *effective):
            parts.append(each.digest)
            parts += [world.issuers[name].digest for name in each.issuers if name in world.issuers]
        return mixed(*parts)

    # What does not go together

    def _check_target(self, route: RouteUnit, config: RouteConfig, remarks: Remarks) -> None:
        keys = route.keys
        if config.upstream is None and config.respond is None:
            remarks.add(keys, "the route leads nowhere: name an `upstream`, or answer with `respond`")
        if config.upstream is not None and config.respond is not None:
            remarks.add((*keys, "respond"), "a route has an upstream or responds by itself, not both", at_key=True)
        if config.respond is not None:
            for word, there in (("adapter", route.wants_adapter), ("rewrite", config.rewrite is not None)):
                if there:
                    remarks.add((*keys, word), f"{word} is for an upstream; this route responds by itself", at_key=True)
        if config.upstream is not None and config.upstream not in self._world.upstreams:
            what = f"there is no upstream '{config.upstream}'{suggestion(config.upstream, self._world.upstreams)}"
            remarks.add((*keys, "upstream"), what)
        if route.wants_adapter and config.rewrite is not None:
            remarks.add((*keys, "rewrite"), "an adapter writes the upstream's path itself", "warning", at_key=True)

    def _authentication(
        self,
        route: RouteUnit,
        config: RouteConfig,
        inherited: dict[str, tuple[PolicyUnit, ...]],
        own: Mapping[str, tuple[PolicyUnit, ...]],
        remarks: Remarks,
    ) -> bool:
        """Drops inherited authenticators of a public route. Returns whether the route knows its callers."""
        mine = [name for name in own if self._specs[name].authenticator]
        theirs = [name for name in inherited if self._specs[name].authenticator]
        if config.public:
            for name in mine:
                what = "the route is public; leave `public` out, or the authenticator"
                remarks.add((*route.keys, "policies", name), what, at_key=True)
            for name in theirs:
                del inherited[name]
            return bool(mine)
        broken = any(name in self._specs and self._specs[name].authenticator for name in route.policies.broken)
        broken = broken or bool(route.policies.broken - self._specs.keys() - NOT_CALLERS)  # may have been meant as one
        main = self._world.main.default_policies.broken - route.policies.off - route.policies.written.keys()
        if not mine and not theirs and not broken and not main:
            kinds = [name for name, spec in self._specs.items() if spec.authenticator]
            remarks.add(
                route.keys,
                f"nothing says who may call: add an authenticator ({listed(kinds)}), or say `public: true`",
            )
        return bool(mine or theirs or broken)

    def _drop_what_needs_a_caller(
        self,
        route: RouteUnit,
        inherited: dict[str, tuple[PolicyUnit, ...]],
        own: Mapping[str, tuple[PolicyUnit, ...]],
        authenticated: bool,
        remarks: Remarks,
    ) -> None:
        if authenticated:
            return
        for name, group in list(inherited.items()):
            inherited[name] = tuple(each for each in group if each.slot not in NEEDS_CALLER)
        for group in own.values():
            for each in group:
                if each.slot in NEEDS_CALLER:
                    what = f"{each.plan.policy} as written here needs to know the caller, and the route has no authenticator"
                    hint = (
                        "; write `per: ip`, `per: route` or `per: header:NAME`"
                        if hasattr(each.plan.config, "per")
                        else ""
                    )
                    remarks.add(each.keys, what + hint)

    def _auth(
        self, route: RouteUnit, effective: Iterable[PolicyUnit], remarks: Remarks
    ) -> tuple[str, tuple[str, ...]] | None:
        authenticators = list(dict.fromkeys(each.plan.policy for each in effective if each.spec.authenticator))
        written = route.policies.auth
        at: Keys = (*route.keys, "policies", AUTH)
        auth = written or self._world.main.default_policies.auth
        if written is not None:
            for name in _names(written):
                if name not in authenticators:
                    what = f"'{name}' is no authenticator of this route{suggestion(name, authenticators)}"
                    remarks.add(at, what)
        if len(authenticators) < 2:
            return None
        if auth is None:
            what = f"the route has several authenticators ({listed(authenticators, 'and')}): say in `auth` whether any or all"
            remarks.add((*route.keys, "policies"), what, at_key=True)
            return None
        left_out = [name for name in authenticators if name not in _names(auth)]
        if left_out:
            remarks.add(
                at if written else route.keys, f"auth leaves out {listed(left_out, 'and')}; name it, or switch it off"
            )
        return ("any" if auth.any else "all", _names(auth))

    def _check_names(self, effective: Iterable[PolicyUnit], route: RouteUnit, remarks: Remarks) -> None:
        seen: dict[tuple[str, str], PolicyUnit] = {}
        for each in effective:
            first = seen.setdefault((each.plan.policy, each.plan.name), each)
            if first is not each:
                what = f"two of {each.plan.policy} are called '{each.plan.name}'; give each a `name`; first at {first.plan.place}"
                remarks.add(each.keys if each.plan.level is Level.ROUTE else route.keys, what)

    def _check_own(
        self,
        own: Mapping[str, tuple[PolicyUnit, ...]],
        config: RouteConfig,
        unit: FileUnit,
        authenticated: bool,
        remarks: Remarks,
    ) -> None:
        world = self._world
        context = CheckContext(Level.ROUTE, config, world.issuers_decoded, world.tiers, None, authenticated)
        for group in own.values():
            for each in group:
                check_unit(world, each, context, remarks)

    def _check_shadow(self, route: RouteUnit, effective: Iterable[PolicyUnit], remarks: Remarks) -> None:
        shadowed = [each for each in effective if each.spec.authenticator and each.plan.config.mode == "shadow"]
        if not shadowed:
            return
        enforced = [
            each.plan.policy for each in effective if each.plan.config.mode == "enforce" and each.slot is Slot.AUTHORIZE
        ]
        if route.name in self._world.grants:
            enforced.append("roles")
        if enforced:
            what = f"an authenticator in shadow lets anyone pass, beside {listed(enforced, 'and')}, which is enforced"
            remarks.add((*route.keys, "policies"), what, at_key=True)


def check_unit(world: World, unit: PolicyUnit, context: CheckContext, remarks: Remarks) -> None:
    """What one policy instance refers to, and what its own spec says of it."""
    for name in unit.issuers:
        if name not in world.issuers:
            what = f"there is no issuer '{name}'{suggestion(name, world.issuers)}"
            remarks.add((*unit.keys, "issuer"), what)
    store: object = unit.plan.config.store if has_field(type(unit.plan.config), "store") else None  # type: ignore[attr-defined]
    if isinstance(store, str):
        check_store(world, store, (*unit.keys, "store"), remarks)
    for complaint in unit.spec.check(unit.plan.config, context):
        complain(remarks, unit.keys, complaint)


def check_store(world: World, store: str, keys: Keys, remarks: Remarks) -> None:
    if store not in world.store_names and store != "memory" and "://" not in store and store != "sqlite":
        remarks.add(keys, f"there is no store '{store}'{suggestion(store, world.store_names)}")


def _names(auth: AuthConfig) -> tuple[str, ...]:
    return auth.any or auth.all or ()
