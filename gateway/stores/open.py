"""From a store's URL to the store. The only place that knows which kinds there are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

from gateway.api.errors import UnfitStoreError
from gateway.api.ports import Clock
from gateway.api.standing import Standing
from gateway.stores.keys import Backend
from gateway.stores.memory import MemoryStore
from gateway.stores.redis.address import Address, parse
from gateway.stores.redis.cluster import ClusterStore
from gateway.stores.redis.greeting import context_of
from gateway.stores.redis.single import SingleStore
from gateway.stores.redis.store import RedisStore
from gateway.stores.sqlite import SqliteStore, Sync

KINDS = ("memory", "sqlite", "redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
"""Schemes that `open_store` takes; the configuration check refuses the others before anything is opened."""

FILE = "lasting.db"  # within the state folder


def kind(url: str) -> str:
    """`memory` of "memory", `redis` of "redis://cache:6379/0"."""
    return url.partition(":")[0].partition("?")[0]


def state_folder(written: str | None) -> Path:
    """Where what must last is kept: the configuration's `state`, else $STATE_DIRECTORY, else ./.sluicegate."""
    # systemd separates several by colons (systemd.exec(5), StateDirectory=)
    return Path(written or os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or ".sluicegate").absolute()


def lasting_url(url: str | None, state: str | None) -> str:
    """The URL of a store for what must last: `url` as written, with the file of the state folder where it names none."""
    scheme, found, options = (url or "sqlite").partition("?")
    if scheme == "sqlite":
        scheme = f"sqlite://{quote(str(state_folder(state) / FILE))}"
    return scheme + found + options


def shown(url: str) -> str:
    """The store's place without user information and options, for logs and metrics."""
    return str(parse(url)) if kind(url).startswith("redis") else url.partition("?")[0]


def open_store(url: str, clock: Clock, *, name: str = "", process: str = "", lasting: bool = False) -> Backend:
    """Open the store at `url`; whoever opens it closes it. Raises ValueError for a kind or an option that there is not.

    For stores that are shared over a network: `name` in the log, and what tells this process from all others.
    """
    if url == "memory":
        return MemoryStore(clock.monotonic)
    if kind(url) == "sqlite":
        path, sync = _sqlite(url)
        return SqliteStore(path, clock.time, sync)
    if kind(url) in KINDS:
        return _redis(parse(url), name=name or shown(url), process=process, lasting=lasting)
    raise ValueError(f"no store of kind '{kind(url)}'; there is {', '.join(KINDS)}")


def open_beside(url: str, part: str, *, name: str, wait_s: float) -> Backend:
    """The Redis at `url` for the control plane, below a prefix of its own: who uses it is no process that shares limits.

    An operation may take `wait_s`.
    """
    address = parse(url)
    return _redis(replace(address, prefix=f"{address.prefix}{part}:", timeout_s=wait_s), name=name)


def _redis(address: Address, *, name: str, process: str = "", lasting: bool = False) -> RedisStore:
    store = ClusterStore if address.kind == "redis+cluster" else SingleStore
    return store(address, name=name, process=process or os.urandom(8).hex(), lasting=lasting)


def _sqlite(url: str) -> tuple[Path, Sync]:
    """`sqlite:///PATH?sync=full|normal`; the path is absolute, and a doubled slash means the same."""
    place, _, options = url.partition("?")
    path = place.removeprefix("sqlite://")
    if path == place or not path.startswith("/"):
        raise ValueError("a SQLite store is written as sqlite:///PATH, with an absolute path")
    sync: Sync = "normal" if options == "sync=normal" else "full"
    if options not in ("", "sync=full", "sync=normal"):
        raise ValueError("a SQLite store has one option: sync=full or sync=normal")
    return Path("/" + unquote(path).lstrip("/")), sync


def check_url(url: str) -> None:
    """Raises ValueError when open_store could not open what `url` says, and says why. Connects to nothing."""
    scheme, found, options = url.partition("?")
    if scheme.startswith("sqlite"):
        _sqlite(f"sqlite:///state{found}{options}" if scheme == "sqlite" else url)
    elif kind(url).startswith("redis"):
        address = parse(url)
        if address.tls is not None:
            try:
                context_of(address.tls)
            except OSError as problem:
                raise ValueError(f"the TLS files of the store are of no use: {problem}") from problem
    elif url != "memory":
        raise ValueError(f"no store of kind '{kind(url)}'; there is {', '.join(KINDS)}")


class Stores:
    """The stores of one process: each is opened once, when it is first asked for, and outlives snapshots."""

    def __init__(self, clock: Clock, processes: int = 1) -> None:
        """`processes`: how many share a store as far as is known before it is reached."""
        self._clock = clock
        self._processes = processes
        self._process = os.urandom(8).hex()
        self._opened: dict[str, tuple[str, Backend]] = {}  # by place, with what operators call it

    def at(self, url: str, name: str | None = None, *, lasting: bool = False) -> Backend:
        """The store at `url`, opened when nobody has asked before. `name` is what operators call it, else its place.

        `lasting`: for what must not be lost. Redis is then asked on a connection of its own, and more patiently.
        """
        place = self.place(url, lasting=lasting)
        if place not in self._opened:
            name = name or shown(url)
            lasting = place != url
            opened = open_store(url, self._clock, name=name, process=self._process, lasting=lasting)
            opened.standing.processes = max(opened.standing.processes, self._processes)
            self._opened[place] = (name, opened)
        return self._opened[place][1]

    def place(self, url: str, *, lasting: bool = False) -> str:
        """What tells the store that `at` gives from all others."""
        return f"lasting {url}" if lasting and kind(url).startswith("redis") else url

    async def settled(self) -> None:
        """Returns when each store can be used, or is known not to be for now. Raises UnfitStoreError."""
        await asyncio.gather(*(backend.settled() for _, backend in self._opened.values()))
        for name, standing in self.standings():
            if standing.durability is not None and standing.durability.evicts:
                raise UnfitStoreError(f"store {name}: {standing.reason}")

    def standings(self) -> list[tuple[str, Standing]]:
        """Name and standing of each store beside the gateway; one that is open twice comes twice."""
        return [(name, backend.standing) for name, backend in self._opened.values() if isinstance(backend, RedisStore)]

    async def close(self, places: Collection[str] | None = None) -> None:
        """Close these, or every store; what is asked for afterwards is opened anew."""
        for place in self._opened.keys() & (self._opened.keys() if places is None else places):
            await self._opened.pop(place)[1].close()
