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
from gateway.compile.checks.one_route import check_instances, check_shadow, check_target
from gateway.compile.checks.units import check_unit
from gateway.compile.decode.blocks import Remarks
from gateway.compile.decode.errors import Keys
from gateway.compile.decode.policies import ALWAYS_ON, AUTH, PolicyUnit, has_field, unit_of
from gateway.compile.decode.units import RouteUnit
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

    def route(self, route: RouteUnit, remarks: Remarks) -> RoutePlan | None:
        """The route's plan; None when it is wrong, which findings or remarks say."""
        config = route.config
        if config is None:
            return None
        upstream = self._world.upstreams.get(config.upstream) if config.upstream else None
        check_target(self._world, route, config, remarks)
        inherited = {name: each for name, each in self._inherit(config.upstream).items() if self._survives(name, route)}
        own = route.policies.written
        authenticated = self._authentication(route, config, inherited, own, remarks)
        self._drop_what_needs_a_caller(route, inherited, own, authenticated, remarks)
        effective = [each for group in (*inherited.values(), *own.values()) for each in group]
        effective += self._implied(route, effective, remarks)
        auth = self._auth(route, effective, remarks)
        check_instances(effective, route, remarks)
        self._check_own(own, config, effective, authenticated, remarks)
        check_shadow(self._world, route, effective, remarks)
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
        adapter = route.adapter
        streams = adapter is not None and self._world.registry.adapters[adapter.adapter].streams(adapter.config)
        return (route.wants_adapter and not streams) or any(
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
        inherits = self._world.main.default_policies.broken - route.policies.off - route.policies.written.keys()
        broken = any(self._may_authenticate(name) for name in route.policies.broken | inherits)
        if not mine and not theirs and not broken:
            kinds = [name for name, spec in self._specs.items() if spec.authenticator]
            remarks.add(
                route.keys,
                f"nothing says who may call: add an authenticator ({listed(kinds)}), or say `public: true`",
            )
        return bool(mine or theirs or broken)

    def _may_authenticate(self, name: str) -> bool:
        """Whether a block that is wrong is an authenticator, or may have been meant as one."""
        spec = self._specs.get(name)
        return name not in NOT_CALLERS if spec is None else spec.authenticator

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
                    if has_field(type(each.plan.config), "per"):
                        what += "; write `per: ip`, `per: route` or `per: header:NAME`"
                    remarks.add(each.keys, what)

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
        return ("any" if auth.any else "all", tuple(name for name in _names(auth) if name in authenticators))

    def _check_own(
        self,
        own: Mapping[str, tuple[PolicyUnit, ...]],
        config: RouteConfig,
        effective: Iterable[PolicyUnit],
        authenticated: bool,
        remarks: Remarks,
    ) -> None:
        world = self._world
        upstream = world.upstreams.get(config.upstream) if config.upstream else None
        context = CheckContext(
            Level.ROUTE,
            config,
            world.issuers_decoded,
            world.tiers,
            None,
            authenticated,
            upstream.block.config if upstream else None,
            {each.plan.policy: each.plan.config for each in effective},
            world.settings,
        )
        for group in own.values():
            for each in group:
                check_unit(world, each, context, remarks)


def _names(auth: AuthConfig) -> tuple[str, ...]:
    return auth.any or auth.all or ()
