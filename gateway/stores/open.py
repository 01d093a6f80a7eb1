"""From a store's URL to the store. The only place that knows which kinds there are."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

from gateway.api.ports import Clock
from gateway.stores.keys import Backend
from gateway.stores.memory import MemoryStore
from gateway.stores.sqlite import SqliteStore, Sync

KINDS = ("memory", "sqlite")
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


def open_store(url: str, clock: Clock) -> Backend:
    """Open the store at `url`; whoever opens it closes it. Raises ValueError for a kind or an option that there is not."""
    if url == "memory":
        return MemoryStore(clock.monotonic)
    if kind(url) == "sqlite":
        path, sync = _sqlite(url)
        return SqliteStore(path, clock.time, sync)
    raise ValueError(f"no store of kind '{kind(url)}'; there is {', '.join(KINDS)}")


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


class Stores:
    """The stores of one process: each URL is opened once, when it is first asked for, and outlives snapshots."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened: dict[str, Backend] = {}

    def at(self, url: str) -> Backend:
        """The store at `url`, opened when nobody has asked before."""
        found = self._opened.get(url)
        if found is None:
            found = self._opened[url] = open_store(url, self._clock)
        return found

    async def close(self) -> None:
        """Close every store; what is asked for afterwards is opened anew."""
        while self._opened:
            _, backend = self._opened.popitem()
            await backend.close()
