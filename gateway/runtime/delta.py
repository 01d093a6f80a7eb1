"""The difference between two compiled configurations, and its way to a worker in small parts. Pure: no sockets, no loop."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.api.settings.document import Settings
from gateway.api.settings.issuer import IssuerConfig
from gateway.compile.plan import ConsumerPlan, Plan, PolicyPlan, RoutePlan, UpstreamPlan

PART_BYTES = 16 * 1024  # models unpickle at 8 to 15 MB/s here, so a part holds the worker's loop for 1 to 2 ms
TABLES = ("routes", "upstreams", "consumers")
FILES = "files"
SHARED_BYTES = 1024  # contents of files from this length on travel once, however many routes refer to them


@dataclass(slots=True)
class Delta:
    """What turns one configuration into the next; against `base=None` it is all of it."""

    base: str | None  # the version it applies to
    version: str
    settings: Settings
    issuers: Mapping[str, IssuerConfig]
    unmatched: tuple[PolicyPlan, ...]
    workers: int = 1  # processes that share the machine's figures
    routes: dict[str, RoutePlan] = field(default_factory=dict)  # new or changed
    upstreams: dict[str, UpstreamPlan] = field(default_factory=dict)
    consumers: dict[str, ConsumerPlan] = field(default_factory=dict)
    gone_routes: frozenset[str] = frozenset()
    gone_upstreams: frozenset[str] = frozenset()
    gone_consumers: frozenset[str] = frozenset()
    secret: bytes = b""  # what all workers of a gateway share; empty where there is only one

    def changed(self) -> int:
        """Routes, upstreams and consumers that are new, different or gone."""
        return sum(len(getattr(self, table)) + len(getattr(self, f"gone_{table}")) for table in TABLES)


def difference(old: Plan | None, new: Plan, *, workers: int = 1, secret: bytes = b"") -> Delta:
    delta = Delta(
        old.version if old else None, new.version, new.settings, new.issuers, new.unmatched, workers, secret=secret,
    )  # fmt: skip
    _fill(delta, "routes", old, new, lambda entry: entry.fingerprint)
    _fill(delta, "upstreams", old, new, lambda entry: entry.fingerprint)
    _fill(delta, "consumers", old, new, lambda entry: entry)
    return delta


def _fill(delta: Delta, table: str, old: Plan | None, new: Plan, identity: Any) -> None:
    before: Mapping[str, Any] = getattr(old, table) if old else {}
    after: Mapping[str, Any] = getattr(new, table)
    entries = getattr(delta, table)
    for name, entry in after.items():
        known = before.get(name)
        if known is not entry and (known is None or identity(known) != identity(entry)):
            entries[name] = entry
    setattr(delta, f"gone_{table}", frozenset(before.keys() - after.keys()))


def split(delta: Delta) -> Iterator[bytes]:
    """The delta as pickles of bounded size: first everything but the tables, then the tables piece by piece."""
    head = Delta(
        delta.base, delta.version, delta.settings, delta.issuers, delta.unmatched, delta.workers,
        gone_routes=delta.gone_routes, gone_upstreams=delta.gone_upstreams, gone_consumers=delta.gone_consumers,
        secret=delta.secret,
    )  # fmt: skip
    yield pickle.dumps(head, pickle.HIGHEST_PROTOCOL)
    files = {octets: number for number, octets in enumerate(_files(delta))}
    for octets, number in files.items():
        yield pickle.dumps((FILES, [(number, octets)]), pickle.HIGHEST_PROTOCOL)
    for table in TABLES:
        entries = list(getattr(delta, table).items())
        at, size = 0, 1
        while at < len(entries):
            part = _dumps((table, entries[at : at + size]), files)
            if len(part) > PART_BYTES and size > 1:
                size = max(1, size * PART_BYTES // (len(part) * 2))
                continue
            yield part
            at += size
            if len(part) < PART_BYTES // 2:
                size *= 2


def _files(delta: Delta) -> set[bytes]:
    """What adapters read, each once: five hundred routes may name one WSDL of 5 MB."""
    return {
        octets
        for plan in delta.routes.values()
        if plan.adapter is not None
        for octets in plan.adapter.files.values()
        if len(octets) >= SHARED_BYTES
    }


def _dumps(part: object, files: Mapping[bytes, int]) -> bytes:
    if not files:
        return pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
    buffer = io.BytesIO()
    _Pickler(buffer, files).dump(part)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Writes the number of a file instead of its contents."""

    def __init__(self, buffer: io.BytesIO, files: Mapping[bytes, int]) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self._files = files

    def persistent_id(self, value: Any) -> int | None:
        return self._files.get(value) if type(value) is bytes and len(value) >= SHARED_BYTES else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, part: bytes, files: Mapping[int, bytes]) -> None:
        super().__init__(io.BytesIO(part))
        self._files = files

    def persistent_load(self, number: int) -> bytes:
        return self._files[number]


class DeltaParts:
    """Puts parts together again, in the order that split() gave them."""

    def __init__(self) -> None:
        self._delta: Delta | None = None
        self._files: dict[int, bytes] = {}

    def add(self, part: bytes) -> None:
        # only the supervisor, which started this process, can write here
        loaded = _Unpickler(part, self._files).load()
        if isinstance(loaded, Delta):
            self._delta = loaded
            return
        table, entries = loaded
        if table == FILES:
            self._files.update(entries)
        else:
            getattr(self._delta, table).update(entries)

    def take(self) -> Delta:
        """The whole delta; the assembly is empty afterwards."""
        delta, self._delta = self._delta, None
        self._files = {}
        assert delta is not None, "a delta begins with its head"
        return delta
