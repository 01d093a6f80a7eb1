"""Which policies and adapters there are: built-in ones by folder, others by entry point. Builds and checks none of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Generic, TypeVar

import adapters
import policies
from gateway.api.adapter import AdapterSpec
from gateway.api.policy import PolicySpec

Spec = TypeVar("Spec", PolicySpec, AdapterSpec)


class RegistryError(Exception):
    """What is installed does not fit together; no configuration can help."""


@dataclass(frozen=True)
class Registry:
    policies: Mapping[str, PolicySpec]
    adapters: Mapping[str, AdapterSpec]


@dataclass(frozen=True)
class _Kind(Generic[Spec]):
    word: str
    package: ModuleType
    attribute: str
    spec: type[Spec]


@cache
def installed() -> Registry:
    """Everything that this Python environment offers. Raises RegistryError."""
    return Registry(
        _collect(_Kind("policy", policies, "POLICY", PolicySpec), entry_points(group="sluicegate.policies")),
        _collect(_Kind("adapter", adapters, "ADAPTER", AdapterSpec), entry_points(group="sluicegate.adapters")),
    )


def _collect(kind: _Kind[Spec], others: Iterable[EntryPoint]) -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    origins: dict[str, str] = {}

    def add(name: str, origin: str, load: Callable[[], object]) -> None:
        try:
            spec = load()
        except Exception as problem:
            raise RegistryError(f"{kind.word} '{name}' of {origin} cannot be loaded: {problem}") from problem
        if spec is None:
            return
        if not isinstance(spec, kind.spec):
            raise RegistryError(f"{origin}: {kind.attribute} is no {kind.spec.__name__}")
        if spec.name != name:
            raise RegistryError(f"{origin}: calls itself '{spec.name}', but is installed as '{name}'")
        if name in found:
            raise RegistryError(
                f"{kind.word} '{name}' is there twice: {origins[name]} and {origin}; uninstall one of them"
            )
        found[name], origins[name] = spec, origin

    for module in pkgutil.iter_modules(kind.package.__path__, f"{kind.package.__name__}."):
        if module.ispkg:  # a folder that exports no spec is a library of others
            name = module.name.rpartition(".")[2]
            add(name, module.name, partial(_exported, module.name, kind.attribute))
    for point in others:
        owner = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
        add(point.name, f"{owner} ({point.value})", point.load)
    return dict(sorted(found.items()))


def _exported(module: str, attribute: str) -> object:
    return getattr(importlib.import_module(module), attribute, None)
