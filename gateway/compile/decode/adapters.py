"""Decodes a route's `adapter` by the registry, reads its files and lets it check them. Builds no codec."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.api.adapter import AdapterScope, AdapterSpec
from gateway.api.config import Block
from gateway.compile import available
from gateway.compile.decode.blocks import Remarks, complain, decode
from gateway.compile.decode.errors import Keys
from gateway.compile.finding import suggestion
from gateway.compile.plan import AdapterPlan
from gateway.compile.registry import Registry


def decode_adapter(
    raw: object, at: Keys, route_and_upstream: tuple[str, str], registry: Registry, remarks: Remarks
) -> AdapterPlan | None:
    if not isinstance(raw, Mapping) or len(raw) != 1:
        remarks.add(at, "expected one adapter by name, as in `adapter: {soap: {...}}`")
        return None
    (name, block), *_ = raw.items()
    keys = (*at, name)
    spec = registry.adapters.get(name)
    if spec is None:
        known = name in available.ADAPTERS
        what = (
            available.sentence(f"the adapter {name}")
            if known
            else f"unknown adapter{suggestion(name, registry.adapters)}"
        )
        remarks.add(keys, what, at_key=True)
        return None
    for below, sentence in available.unavailable(f"adapters.{name}", block):
        remarks.add((*keys, *below), sentence)
    config = decode(spec.config, block, remarks, keys)
    if config is None:
        return None
    files = _read(spec, config, keys, remarks)
    if files is None:
        return None
    route, upstream = route_and_upstream
    references = remarks.file.references
    read = dict(files)

    def read_file(path: str) -> bytes:
        """What a check reads beyond the spec's own list (a WSDL's imports), a worker will need as well."""
        read[path] = references.read(references.resolve(path))
        return read[path]

    scope = AdapterScope(route, upstream, read_file)
    sound = True
    for complaint in spec.check(config, scope):
        complain(remarks, keys, complaint)
        sound = sound and complaint.level != "error"
    return AdapterPlan(name, config, read) if sound else None


def _read(spec: AdapterSpec, config: Block, keys: Keys, remarks: Remarks) -> Mapping[str, bytes] | None:
    references = remarks.file.references
    files: dict[str, bytes] = {}
    sound = True
    for written in spec.files(config):
        path = references.resolve(written)
        try:
            files[written] = references.read(path)
        except OSError as problem:
            sound = False
            remarks.add(_place_of(written, remarks, keys), f"cannot read {path}: {problem.strerror}")
    return files if sound else None


def _place_of(written: str, remarks: Remarks, keys: Keys) -> Keys:
    """Where a path stands in the block: the spec says which paths, not where."""
    value: object = remarks.file.value
    for key in keys:
        value = value[key]  # type: ignore[index]  # the block was decoded from there
    return (*keys, *_search(value, written))


def _search(value: object, wanted: str) -> Keys:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        if below == wanted:
            return (key,)
        deeper = _search(below, wanted)
        if deeper:
            return (key, *deeper)
    return ()
