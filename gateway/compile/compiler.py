"""Compiles a configuration: files to a plan and findings. Keeps what did not change between two compilations."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.compile import checks
from gateway.compile.assemble import Assembly
from gateway.compile.decode.blocks import Remarks, digest_of
from gateway.compile.decode.units import FileUnit, decode_file
from gateway.compile.finding import Finding, has_errors
from gateway.compile.masking import masked, merged
from gateway.compile.partners import Partners
from gateway.compile.plan import ConsumerPlan, Plan, RoutePlan, UpstreamPlan
from gateway.compile.registry import Registry, installed
from gateway.compile.source.files import ConfigurationMissing, Written, configuration_files, parse, read
from gateway.compile.source.references import Outside
from gateway.compile.world import Notes, World, mixed


@dataclass(frozen=True, slots=True)
class Compiled:
    """What became of a configuration. `plan` is None exactly when there are errors among the findings."""

    plan: Plan | None
    findings: tuple[Finding, ...]
    files: frozenset[Path]  # every file that was read or looked for: a change of one of them may change the plan
    readable: bool = True  # False: there is no configuration to speak of
    written: tuple[
        Mapping[str, Any], ...
    ] = ()  # what each file holds, secrets resolved: to be shown by document() only

    def document(self) -> dict[str, Any]:
        """The configuration as it is written, in one piece and fit to be shown: no secret is in it."""
        return dict(masked(merged(self.written)))

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "warning")


def compile_configuration(location: Path | str, registry: Registry | None = None) -> Compiled:
    """One configuration, once. Whoever compiles it again and again keeps a Compiler."""
    return Compiler(location, registry).compile()


class Compiler:
    """Compiles one configuration folder (or file), again and again. Not for use by several threads at once.

    `registry` is what is installed when left out. 10,000 routes and consumers in 100 files take seconds at first, and a
    fraction of one after an edit of one file: a file with the same text, whose references have the same values, is not
    decoded again, and its routes are not planned again where nothing else that they depend on changed.
    """

    def __init__(self, location: Path | str, registry: Registry | None = None) -> None:
        self._location = Path(location)
        self._registry = registry or installed()
        self._outside = Outside()
        self._units: dict[Path, tuple[bytes, FileUnit]] = {}

    def compile(self) -> Compiled:
        """Never raises for what is wrong with the configuration: that is in the findings."""
        with _collector_off():
            try:
                return self._compile()
            finally:
                self._outside.forget()

    def _compile(self) -> Compiled:
        try:
            paths = configuration_files(self._location)
        except ConfigurationMissing as problem:
            finding = Finding(str(self._location), 0, 0, "error", "", str(problem))
            return Compiled(None, (finding,), frozenset({self._location}), readable=False)
        base = paths[0].parent
        found = [(path, read(path, base)) for path in paths]
        broken = [written for _, written in found if isinstance(written, Finding)]
        if isinstance(found[0][1], Finding):
            return Compiled(None, tuple(broken), frozenset(paths), readable=False)
        units = self._decoded([written for _, written in found if isinstance(written, Written)])
        self._units = {path: self._units[path] for path in paths if path in self._units}
        files = {Path(name) for unit in units for kind, name in unit.file.used if kind == "file"}
        plan, findings = self._plan(units)
        order = {unit.file.name: index for index, unit in enumerate(units)}
        everything = sorted({*broken, *findings}, key=lambda each: (order.get(each.file, -1), each))
        sound = None if has_errors(everything) else plan
        values = tuple(unit.file.value for unit in units)
        return Compiled(sound, tuple(everything), frozenset(paths) | files, written=values)

    def _decoded(self, written: list[Written]) -> list[FileUnit]:
        units: list[FileUnit] = []
        defaults: Mapping[str, Any] = {}
        for index, each in enumerate(written):
            units.append(self._unit(each, defaults, main=index == 0))
            if index == 0:
                defaults = _upstream_defaults(units[0])
                if defaults:  # which gateway.yaml gives to its own upstreams too
                    units[0] = self._unit(each, defaults, main=True)
        return units

    def _unit(self, written: Written, defaults: Mapping[str, Any], *, main: bool) -> FileUnit:
        text = mixed(written.digest, digest_of(dict(defaults)), str(main).encode())
        known = self._units.get(written.path)
        if known is not None and known[0] == text:
            used = known[1].file.used
            if all(self._outside.state(kind, name) == state for (kind, name), state in used.items()):
                return known[1]
        unit = decode_file(parse(written, self._outside, main=main), self._registry, defaults)
        self._units[written.path] = (text, unit)
        return unit

    def _plan(self, units: list[FileUnit]) -> tuple[Plan | None, list[Finding]]:
        if not units[0].file.readable:
            return None, [finding for unit in units for finding in unit.file.findings]
        notes = Notes()
        world = World(units, self._registry, notes)
        findings = [finding for unit in units for finding in unit.findings]
        assembly = Assembly(world)
        routes, facts, route_findings = _routes(world, assembly)
        consumers, consumer_findings = _consumers(world)
        findings += [*route_findings, *consumer_findings]
        unmatched = assembly.everywhere_plans
        checks.check_names(world)
        checks.check_routes(world, facts)
        checks.check_certificates(world, facts)
        checks.check_identities(world, consumers)
        checks.check_tiers(world, facts, unmatched, consumers)
        checks.check_unused(world, facts, consumers)
        findings += notes.findings()
        if world.settings is None:
            return None, findings
        upstreams = {
            name: UpstreamPlan(name, upstream.block.digest, upstream.block.config, assembly.upstream_plans(upstream))
            for name, upstream in world.upstreams.items()
            if upstream.block.config is not None
        }
        version = _version(world, routes, consumers)
        plan = Plan(version, world.settings, routes, upstreams, world.issuers_decoded, consumers, unmatched)
        return plan, findings


def _upstream_defaults(main: FileUnit) -> Mapping[str, Any]:
    """The fields of `defaults.upstream`, where they are sound: what is wrong there is said there, once."""
    block = main.file.value.get("defaults")
    written = block.get("upstream") if isinstance(block, Mapping) else None
    if not isinstance(written, Mapping) or main.settings is None or not main.sound_upstream_defaults:
        return {}
    return written


def _routes(world: World, assembly: Assembly) -> tuple[dict[str, RoutePlan], checks.Facts, list[Finding]]:
    """Plans of all routes, file by file: a file's are kept while neither it nor what its routes depend on changes."""
    context = world.route_context
    everything = checks.Facts()
    made: dict[tuple[str, str], RoutePlan] = {}
    findings: list[Finding] = []
    for unit in world.units:
        kept = unit.kept.get("routes")
        if kept is None or kept[0] != context:
            remarks = Remarks(unit.file)
            plans = [plan for route in unit.routes if (plan := assembly.route(route, remarks)) is not None]
            kept = unit.kept["routes"] = (context, (plans, checks.facts_of(plans), remarks.findings()))
        plans, facts, remarked = kept[1]
        everything.add(facts)
        findings += remarked
        made.update({(unit.file.name, plan.name): plan for plan in plans})
    ordered = ((unit.file.name, route.name) for unit, route in world.routes)
    return {key[1]: made[key] for key in ordered if key in made}, everything, findings


def _consumers(world: World) -> tuple[dict[str, ConsumerPlan], list[Finding]]:
    partners = Partners(world)
    context = world.consumer_context
    plans: dict[str, ConsumerPlan] = {}
    findings: list[Finding] = []
    for unit in world.units:
        kept = unit.kept.get("consumers")
        if kept is None or kept[0] != context:
            remarks = Remarks(unit.file)
            made = {name: partners.plan(consumer, remarks) for name, consumer in unit.consumers.items()}
            kept = unit.kept["consumers"] = (context, (made, remarks.findings()))
        made, remarked = kept[1]
        findings += remarked
        for name, plan in made.items():
            if plan is not None:
                plans.setdefault(name, plan)
    return plans, findings


def _version(world: World, routes: Mapping[str, RoutePlan], consumers: Mapping[str, ConsumerPlan]) -> str:
    """The same for equal configurations, whatever file a route is in."""
    parts = [b"1", world.main.settings_digest, world.consumer_context]
    parts += sorted(name.encode() + plan.fingerprint for name, plan in routes.items())
    parts += sorted(name.encode() + upstream.block.digest for name, upstream in world.upstreams.items())
    parts += sorted(name.encode() + issuer.digest for name, issuer in world.issuers.items())
    parts += sorted(name.encode() + world.consumers[name].block.digest for name in consumers)
    return mixed(*parts).hex()[:12]


@contextmanager
def _collector_off() -> Iterator[None]:
    """A compilation makes a million objects and no garbage: the collector would walk them again and again (a third of the time)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
