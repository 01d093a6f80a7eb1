"""Decodes a `policies` mapping by the registry: what is written, what is switched off, what is unknown or out of place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from gateway.api.config import PolicyBlock, is_off
from gateway.api.policy import Level, PolicySpec, Slot
from gateway.api.settings.route import AuthConfig
from gateway.compile import available
from gateway.compile.decode.blocks import Remarks, decode, digest_of
from gateway.compile.decode.errors import Keys
from gateway.compile.finding import listed, suggestion
from gateway.compile.plan import Place, PolicyPlan
from gateway.compile.registry import Registry

AUTH = "auth"  # stands among the policies, but says how they go together
ALWAYS_ON = "timeout"  # in force with its defaults where nothing is written


@dataclass(frozen=True, slots=True)
class PolicyUnit:
    """One policy instance, as written, with what is asked of it again and again."""

    plan: PolicyPlan
    spec: PolicySpec
    slot: Slot
    issuers: tuple[str, ...]  # that it refers to
    keys: Keys
    digest: bytes


@dataclass(frozen=True, slots=True)
class PolicySet:
    """A `policies` mapping. `broken` are names that are written, but wrong: they still count as there."""

    written: Mapping[str, tuple[PolicyUnit, ...]] = field(default_factory=dict)
    off: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    auth: AuthConfig | None = None
    at: Keys = ()


EMPTY = PolicySet()


def decode_policies(raw: object, at: Keys, level: Level, registry: Registry, remarks: Remarks) -> PolicySet:
    if raw is None or raw == {}:
        return EMPTY
    if not isinstance(raw, Mapping):
        remarks.add(at, "expected a mapping of policies by name, as in `rate_limit: {per: ip, rate: 50/s}`")
        return EMPTY
    written: dict[str, tuple[PolicyUnit, ...]] = {}
    off: set[str] = set()
    broken: set[str] = set()
    auth: AuthConfig | None = None
    for name, block in raw.items():
        keys = (*at, name)
        if name == AUTH and level in (Level.ROUTE, Level.DEFAULTS):
            auth = decode(AuthConfig, block, remarks, keys)
            continue
        spec = registry.policies.get(name)
        problem = _unusable(name, spec, level, registry)
        if spec is None or problem:
            remarks.add(keys, problem, at_key=True)
            broken.add(str(name))  # YAML has keys that are no text
        elif is_off(block):
            if name == ALWAYS_ON:
                remarks.add(keys, "timeout is always in force; write a longer `total` instead")
            elif level in (Level.GLOBAL, Level.DEFAULTS):
                remarks.add(keys, "there is nothing here that `off` could take away; leave it out", "warning")
            off.add(name)
        else:
            units = _units(spec, level, block, keys, remarks)
            if units is None:
                broken.add(name)
            else:
                written[name] = units
    return PolicySet(written, frozenset(off), frozenset(broken), auth, at)


def _unusable(name: str, spec: PolicySpec | None, level: Level, registry: Registry) -> str:
    if spec is None:
        if name in available.POLICIES:
            return available.sentence(f"the policy {name}")
        return f"unknown policy{suggestion(name, registry.policies)}"
    if level not in spec.levels:
        places = {
            Level.GLOBAL: "under global",
            Level.DEFAULTS: "under defaults",
            Level.UPSTREAM: "on an upstream",
            Level.ROUTE: "on a route",
        }
        return (
            f"{name} cannot stand here; it is written {listed([places[each] for each in Level if each in spec.levels])}"
        )
    return ""


def _units(
    spec: PolicySpec, level: Level, block: object, keys: Keys, remarks: Remarks
) -> tuple[PolicyUnit, ...] | None:
    """The instances, None when one of them is wrong."""
    if not isinstance(block, list):
        unit = _unit(spec, level, block, keys, remarks)
        return None if unit is None else (unit,)
    if not spec.repeatable:
        remarks.add(keys, f"{spec.name} is written once here; only some policies take a list")
        return None
    if not block:
        remarks.add(keys, f"nothing is in it; write `{spec.name}: off` to go without")
        return None
    units = [_unit(spec, level, item, (*keys, index), remarks) for index, item in enumerate(block)]
    return None if None in units else tuple(unit for unit in units if unit is not None)


def _unit(spec: PolicySpec, level: Level, block: object, keys: Keys, remarks: Remarks) -> PolicyUnit | None:
    if block is None:
        remarks.add(keys, "nothing is written here; write {} to take the defaults, or off")
        return None
    for below, sentence in available.unavailable(f"policies.{spec.name}", block):
        remarks.add((*keys, *below), sentence)
    file = remarks.file
    file.references.files.clear()
    config = decode(spec.config, block, remarks, keys)
    if config is None:
        return None
    line, column = file.marks.get(keys) or file.marks.get(keys[:-1], (1, 1))
    digest = digest_of(block, file.references.files)
    return unit_of(spec, level, config, keys, Place(file.name, line, column), digest)


def unit_of(spec: PolicySpec, level: Level, config: PolicyBlock, keys: Keys, place: Place, digest: bytes) -> PolicyUnit:
    name = config.name or (spec.default_name(config) if spec.default_name else spec.name)
    if level is Level.GLOBAL:
        name = f"global-{name}"
    plan = PolicyPlan(spec.name, name, level, config, place)
    # the level is part of the identity of a policy's state
    return PolicyUnit(plan, spec, spec.slot(config), issuers_of(config), keys, level.value.encode() + digest)


def issuers_of(config: PolicyBlock) -> tuple[str, ...]:
    """The issuers that a policy block refers to: by contract, in a field called `issuer`."""
    if not has_field(type(config), "issuer"):
        return ()
    issuer: str | tuple[str, ...] | None = config.issuer  # type: ignore[attr-defined]  # as was just seen
    return (issuer,) if isinstance(issuer, str) else tuple(issuer or ())


@cache
def has_field(model: type[PolicyBlock], name: str) -> bool:
    """hasattr() on a pydantic model costs 4 µs where the answer is no."""
    return name in model.model_fields
