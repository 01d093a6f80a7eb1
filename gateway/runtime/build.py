"""Makes live routes out of plans: policies built in their scopes, folded into a chain, ending at an upstream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from gateway.api.adapter import AdapterScope, AdapterSpec, BuiltAdapter, CallAdapter
from gateway.api.exchange import Proceed
from gateway.api.policy import Authenticator, PolicySpec, Slot
from gateway.api.settings.upstream_auth import UpstreamAuth
from gateway.compile.chain import Chain, Step, authorization, fold
from gateway.compile.plan import PolicyPlan, RoutePlan
from gateway.edge.adapt import Adapt, judges, presented
from gateway.edge.affinity import of_balance
from gateway.edge.file_names import of_drop
from gateway.edge.forward import Forward
from gateway.edge.respond import StaticResponse, unmatched
from gateway.edge.snapshot import LiveRoute
from gateway.edge.upstream_limits import UpstreamLimits
from gateway.routing.pattern import parse_path
from gateway.routing.rewrite import of_rewrite
from gateway.runtime.resources import Resources
from gateway.runtime.scope import BuildScope, Surroundings
from gateway.telemetry.metrics import UNMATCHED
from gateway.upstream.client import Upstream
from gateway.upstream.credentials import Recipient, TokenClient, credentialed
from gateway.upstream.kinds import Client
from gateway.upstream.tokens import Tokens

OUTERMOST = -1  # rank: what policies of the same slot take away does not go out


class Specs(Protocol):
    """The registry, as far as building needs it."""

    @property
    def policies(self) -> Mapping[str, PolicySpec]: ...
    @property
    def adapters(self) -> Mapping[str, AdapterSpec]: ...


def _always(others: int) -> bool:
    return True


def _never(others: int) -> bool:
    return False


class RouteBuilder:
    """Builds the routes of one configuration. Routes that it builds share a worker's resources."""

    def __init__(
        self, resources: Resources, specs: Specs, surroundings: Surroundings, upstreams: Mapping[str, Client]
    ) -> None:
        self._resources = resources
        self._specs = specs
        self._surroundings = surroundings
        self._upstreams = upstreams

    def adapters(self, plans: Mapping[str, RoutePlan]) -> dict[str, BuiltAdapter]:
        """The adapters of routes, by route. A large WSDL takes a second: not on the event loop."""
        return {
            name: self._specs.adapters[plan.adapter.adapter].build(
                plan.adapter.config, AdapterScope(plan.name, plan.config.upstream or "", _reader(plan.adapter.files))
            )
            for name, plan in plans.items()
            if plan.adapter is not None
        }

    def route(self, plan: RoutePlan, adapter: BuiltAdapter | None = None) -> tuple[LiveRoute, frozenset[str]]:
        """The live route, and the names of the background work that it needs."""
        upstream = plan.config.upstream or ""
        steps, needs = self._steps(plan.policies, plan.name, upstream, self._safe(plan), self._ready(plan, upstream))
        called = self._surroundings.upstreams.get(upstream)
        if called is not None and called.ratelimit_headers == "pass":
            steps.append(Step(Slot.TRANSFORM, "ratelimit_headers", UpstreamLimits(), rank=OUTERMOST))
        require_all = plan.auth is not None and plan.auth[0] == "all"
        chain = fold(steps, self._terminal(plan, adapter), require_all=require_all)
        if isinstance(adapter, CallAdapter) and adapter.presents:
            chain = replace(chain, handle=presented(adapter, chain.handle))
        preflights = any(self._specs.policies[one.policy].answers_preflights for one in plan.policies)
        return self._live(plan.name, chain, preflights=preflights), frozenset(needs)

    def unmatched(self, policies: Sequence[PolicyPlan]) -> tuple[LiveRoute, frozenset[str]]:
        """What answers requests that match no route: the global policies, then 404 or 405."""
        steps, needs = self._steps(policies, "", "")
        return self._live(UNMATCHED, fold(steps, unmatched)), frozenset(needs)

    def _live(self, name: str, chain: Chain, *, preflights: bool = False) -> LiveRoute:
        return LiveRoute(name, chain.handle, chain.observers, self._resources.metrics.route(name), preflights)

    def _safe(self, plan: RoutePlan) -> bool | None:
        spec = None if plan.adapter is None else self._specs.adapters[plan.adapter.adapter]
        return None if spec is None or plan.adapter is None else spec.safe(plan.adapter.config)

    def _ready(self, plan: RoutePlan, name: str) -> Callable[[int], bool]:
        """Scope.ready of the route's policies. An upstream that cannot tell when its first byte leaves is always ready."""
        upstream = self._upstreams.get(name)
        if not isinstance(upstream, Upstream):
            return _always
        called = self._surroundings.upstreams.get(name)
        token = called is not None and called.auth is not None and called.auth.headers is None
        waits = any(self._specs.policies[one.policy].waits(one.config) for one in plan.policies)
        return _never if waits or token or plan.adapter is not None else upstream.ready

    def _steps(
        self,
        policies: Sequence[PolicyPlan],
        route: str,
        upstream: str,
        safe: bool | None = None,
        ready: Callable[[int], bool] = _always,
    ) -> tuple[list[Step], set[str]]:
        steps: list[Step] = []
        needs: set[str] = set()
        for plan in policies:
            spec = self._specs.policies[plan.policy]
            scope = BuildScope(self._resources, plan, route, upstream, self._surroundings, safe, ready)
            built = spec.build(plan.config, scope)
            needs |= scope.needs
            slot = spec.slot(plan.config)
            for one in built if isinstance(built, Sequence) else (built,):
                steps.append(Step(slot, plan.policy, one, scope.shadow, spec.merge, spec.rank))
                if isinstance(one, Authenticator):
                    steps.append(Step(Slot.AUTHORIZE, plan.policy, authorization(one), scope.shadow))
        return steps, needs

    def _terminal(self, plan: RoutePlan, adapter: BuiltAdapter | None) -> Proceed:
        config = plan.config
        if config.respond is not None:
            return StaticResponse(config.respond)
        assert config.upstream is not None, "check: a route has an upstream or responds itself"
        called = self._surroundings.upstreams.get(config.upstream)
        forward = Forward(
            self._recipient(config.upstream, None if called is None else called.auth),
            self._resources.metrics.upstream(config.upstream),
            of_rewrite(config.rewrite, parse_path(config.match.path)),
            replayable=self._safe(plan) is not False,
            affinity=None if called is None else of_balance(called.balance),
            names_of=None if called is None else of_drop(called.drop, judged=adapter is not None and judges(adapter)),
            send_deadline=called is not None and called.send_deadline,
        )
        return forward if adapter is None else Adapt(adapter, forward)

    def _recipient(self, name: str, auth: UpstreamAuth | None) -> Recipient:
        upstream, resources = self._upstreams[name], self._resources
        if auth is None:
            return upstream

        def tokens(client: TokenClient) -> Tokens:
            def make() -> Tokens:
                secret = client.client_secret
                return Tokens(client.token_url, client.client_id, secret, resources.fetch, resources.clock)

            return resources.state(("upstream-tokens", client), make)

        return credentialed(upstream, auth, tokens)


def _reader(files: Mapping[str, bytes]) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        try:
            return files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    return read
