"""Decodes one file, block by block, as far as that can be done without looking at any other file.

What comes out is kept while the file stays as it is. Whether names that are referred to exist, and what is inherited, is
decided later, over all files (gateway/compile/assemble.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel

from gateway.api.config import NAME, is_off
from gateway.api.policy import Complaint, Level
from gateway.api.settings.consumer import ConsumerConfig
from gateway.api.settings.document import Document, Settings
from gateway.api.settings.issuer import IssuerConfig
from gateway.api.settings.route import RouteConfig
from gateway.api.settings.upstream import UpstreamConfig
from gateway.compile.available import unavailable
from gateway.compile.decode.adapters import decode_adapter
from gateway.compile.decode.blocks import Remarks, complain, decode, digest_of
from gateway.compile.decode.errors import Keys
from gateway.compile.decode.policies import EMPTY, PolicySet, decode_policies
from gateway.compile.finding import Finding, suggestion
from gateway.compile.plan import AdapterPlan, Place
from gateway.compile.registry import Registry
from gateway.compile.source.files import SourceFile
from gateway.routing.pattern import PatternError, RouteMatch, of_route
from gateway.routing.rewrite import of_rewrite

M = TypeVar("M", bound=BaseModel)

SECTIONS = ("issuers", "consumers", "upstreams", "routes")
IN_EVERY_FILE = ("routes", "upstreams", "consumers")


@dataclass(frozen=True, slots=True)
class Named(Generic[M]):
    """An entry of a mapping of blocks. `config` is None where it is wrong; it still is there, under its name."""

    name: str
    config: M | None
    keys: Keys
    place: Place
    digest: bytes


@dataclass(frozen=True, slots=True)
class RouteUnit:
    name: str
    config: RouteConfig | None
    keys: Keys
    place: Place
    digest: bytes
    match: RouteMatch | None
    policies: PolicySet
    adapter: AdapterPlan | None
    wants_adapter: bool


@dataclass(slots=True)
class FileUnit:
    """A file, decoded."""

    file: SourceFile
    findings: tuple[Finding, ...] = ()
    settings: Settings | None = None
    settings_digest: bytes = b""
    sound_upstream_defaults: bool = True
    issuers: dict[str, Named[IssuerConfig]] = field(default_factory=dict)
    consumers: dict[str, Named[ConsumerConfig]] = field(default_factory=dict)
    upstreams: dict[str, Named[UpstreamConfig]] = field(default_factory=dict)
    upstream_policies: dict[str, PolicySet] = field(default_factory=dict)
    routes: list[RouteUnit] = field(default_factory=list)
    global_policies: PolicySet = EMPTY
    default_policies: PolicySet = EMPTY
    kept: dict[str, tuple[object, Any]] = field(default_factory=dict)
    """What later steps made of this file, with what it was made for; goes when the file changes."""


def decode_file(file: SourceFile, registry: Registry, defaults: Mapping[str, Any]) -> FileUnit:
    """`defaults` are the fields that upstreams have unless they write them."""
    unit = FileUnit(file, file.findings)
    if not file.readable:
        return unit
    remarks = Remarks(file)
    known = list(_top_level()) if file.main else list(IN_EVERY_FILE)
    if file.main:
        _decode_main(unit, registry, remarks)
    for section in file.value:
        if section not in known and not file.main:
            belongs = section in _top_level()
            where = "; it belongs in gateway.yaml" if belongs else suggestion(section, known)
            remarks.add((section,), f"this file holds routes, upstreams and consumers only{where}", at_key=True)
    unit.consumers = _named(file, "consumers", ConsumerConfig, remarks)
    _decode_upstreams(unit, registry, defaults, remarks)
    routes = file.value.get("routes")
    if isinstance(routes, list):
        unit.routes = [_route(file, index, raw, registry, remarks) for index, raw in enumerate(routes)]
    elif routes is not None:
        remarks.add(("routes",), "expected a list of routes, as in `- name: ...`")
    unit.findings = (*file.findings, *remarks.findings())
    return unit


def _top_level() -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in Document.model_fields.items())


def _decode_main(unit: FileUnit, registry: Registry, remarks: Remarks) -> None:
    raw = {key: value for key, value in unit.file.value.items() if key not in SECTIONS}
    for keys, sentence in unavailable("settings", raw):
        remarks.add(keys, sentence)
    unknown = [key for key in raw if key not in _top_level()]
    for key in unknown:  # said here, because the model of the settings does not know the sections
        remarks.add((key,), f"unknown field{suggestion(key, _top_level())}", at_key=True)
    unit.file.references.files.clear()
    unit.settings = decode(Settings, {key: raw[key] for key in raw if key not in unknown}, remarks, ())
    unit.settings_digest = digest_of(raw, unit.file.references.files)
    unit.issuers = _named(unit.file, "issuers", IssuerConfig, remarks)
    for section, level in (("global", Level.GLOBAL), ("defaults", Level.DEFAULTS)):
        block = raw.get(section)
        policies = block.get("policies") if isinstance(block, Mapping) else None
        decoded = decode_policies(policies, (section, "policies"), level, registry, remarks)
        if level is Level.GLOBAL:
            unit.global_policies = decoded
        else:
            unit.default_policies = decoded
    if isinstance(raw.get("defaults"), Mapping):
        unit.sound_upstream_defaults = _check_upstream_defaults(raw["defaults"].get("upstream"), remarks)


def _check_upstream_defaults(raw: object, remarks: Remarks) -> bool:
    if isinstance(raw, Mapping):
        for field_name in ("targets", "policies"):
            if field_name in raw:
                elsewhere = (
                    "each upstream has its own" if field_name == "targets" else "write them under defaults.policies"
                )
                remarks.add(("defaults", "upstream", field_name), f"no {field_name} here; {elsewhere}", at_key=True)
        rest = {key: value for key, value in raw.items() if key not in ("targets", "policies")}
        for keys, sentence in unavailable("upstreams", rest):
            remarks.add(("defaults", "upstream", *keys), sentence)
        sample = decode(UpstreamConfig, {"targets": ["http://a.target"], **rest}, remarks, ("defaults", "upstream"))
        return sample is not None and len(rest) == len(raw)
    return True


def _named(
    file: SourceFile,
    section: str,
    model: type[M],
    remarks: Remarks,
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda raw: raw,
) -> dict[str, Named[M]]:
    """The entries of a mapping of blocks, each decoded by itself. `complete` adds what an entry does not write."""
    blocks = file.value.get(section)
    if blocks is None:
        return {}
    if not isinstance(blocks, Mapping):
        remarks.add((section,), f"expected a mapping of {section} by name")
        return {}
    found: dict[str, Named[M]] = {}
    for name, raw in blocks.items():
        keys = (section, name)
        if not _is_name(name):
            remarks.add(keys, _NOT_A_NAME, at_key=True)
            continue
        for below, sentence in unavailable(section, raw):
            remarks.add((*keys, *below), sentence)
        file.references.files.clear()
        block = complete(raw) if isinstance(raw, Mapping) else raw
        config = decode(model, block, remarks, keys)
        line, column = file.marks[keys]
        digest = digest_of(block, file.references.files)
        found[name] = Named(name, config, keys, Place(file.name, line, column), digest)
    return found


_NAME = re.compile(NAME).match
_NOT_A_NAME = "not a name; names are made of a-z, 0-9, _ and -, begin with a letter or digit and have at most 63"


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME(name) is not None


def _decode_upstreams(unit: FileUnit, registry: Registry, defaults: Mapping[str, Any], remarks: Remarks) -> None:
    def complete(raw: Mapping[str, Any]) -> Mapping[str, Any]:
        own = {key: value for key, value in raw.items() if key != "policies"}
        return {**defaults, **{key: value for key, value in own.items() if not _drops_default(key, value)}}

    unit.upstreams = _named(unit.file, "upstreams", UpstreamConfig, remarks, complete)
    for name in unit.upstreams:
        raw = unit.file.value["upstreams"][name]
        policies = raw.get("policies") if isinstance(raw, Mapping) else None
        at = ("upstreams", name, "policies")
        unit.upstream_policies[name] = decode_policies(policies, at, Level.UPSTREAM, registry, remarks)


def _drops_default(key: str, value: object) -> bool:
    """`off` for a block that has no off of its own takes a default away; for a truth value it is the value."""
    field_info = UpstreamConfig.model_fields.get(key)
    if field_info is None or not is_off(value):
        return False
    return field_info.annotation is not bool and type(None) not in get_args(field_info.annotation)


def _route(file: SourceFile, index: int, raw: object, registry: Registry, remarks: Remarks) -> RouteUnit:
    keys: Keys = ("routes", index)
    line, column = file.marks[keys]
    place = Place(file.name, line, column)
    if not isinstance(raw, Mapping):
        remarks.add(keys, "expected a route, as in `- name: ...`")
        return RouteUnit("", None, keys, place, b"", None, EMPTY, None, False)
    name = raw.get("name")
    name = str(name) if _is_name(name) else ""
    # policies and adapters have models of their own; the route's does not carry them a second time
    core = {key: value for key, value in raw.items() if key not in ("policies", "adapter")}
    config = decode(RouteConfig, core, remarks, keys)
    policies = decode_policies(raw.get("policies"), (*keys, "policies"), Level.ROUTE, registry, remarks)
    file.references.files.clear()
    adapter = None
    if "adapter" in raw:
        upstream = "" if config is None else config.upstream or ""
        adapter = decode_adapter(raw["adapter"], (*keys, "adapter"), (name, upstream), registry, remarks)
    match = None if config is None else _match(config, keys, remarks)
    digest = digest_of(raw, file.references.files)
    return RouteUnit(name, config, keys, place, digest, match, policies, adapter, "adapter" in raw)


def _match(config: RouteConfig, keys: Keys, remarks: Remarks) -> RouteMatch | None:
    try:
        match = of_route(config)
    except PatternError as problem:
        complain(remarks, (*keys, "match"), Complaint((problem.field,), str(problem)))
        return None
    if config.rewrite is not None:
        field_name = "path" if config.rewrite.path is not None else "strip_prefix"
        try:
            of_rewrite(config.rewrite, match.path)
        except PatternError as problem:
            complain(remarks, (*keys, "rewrite"), Complaint((field_name,), str(problem)))
    return match
