"""Configurations are prepared beside the live one, swapped whole, and freed; state stays."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.api.adapter import AdapterScope, AdapterSpec, CallAdapter, Calls
from gateway.api.config import Block
from gateway.api.exchange import Exchange
from gateway.api.messages import Headers, Response
from gateway.compile import Compiler
from gateway.compile.plan import Plan
from gateway.compile.registry import Registry, installed
from gateway.edge.snapshot import LiveRoute, Snapshot
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.delta import difference

BASE = """\
version: 1
log: {access: off}
tiers: {free: {rate: 1/s, burst: 2}}
routes:
  - name: kept
    match: {path: /kept}
    public: true
    respond: {body: {answer: kept}}
  - name: limited
    match: {path: /limited}
    public: true
    respond: {body: fine}
    policies: {rate_limit: {per: ip, rate: 1/h, burst: 2}}
"""
CHANGED = BASE.replace("burst: 2}}\n", "burst: 3}}\n").replace("body: fine", "body: finer")


def plan(folder: Path, text: str) -> Plan:
    (folder / "gateway.yaml").write_text(text)
    compiled = Compiler(folder).compile()
    assert compiled.plan is not None, compiled.errors
    return compiled.plan


async def call(plane: WorkerPlane, path: str, method: str = "GET") -> tuple[int, bytes]:
    """One request, as a server would hand it over."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", b"api.example")], "client": ("192.0.2.1", 4711),
    }  # fmt: skip
    await plane.app(0)(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def run(scene: Callable[[WorkerPlane], Awaitable[None]]) -> None:
    async def go() -> None:
        plane = WorkerPlane(installed())
        try:
            await scene(plane)
        finally:
            await plane.close()

    asyncio.run(go())


def test_unchanged_routes_are_not_built_again(tmp_path: Path) -> None:
    async def scene(plane: WorkerPlane) -> None:
        first, second = plan(tmp_path, BASE), plan(tmp_path, CHANGED)
        one = await plane.prepare(difference(None, first))
        plane.commit(one)
        other = await plane.prepare(difference(first, second))
        assert other.bound["kept"] is one.bound["kept"]
        assert other.bound["limited"] is not one.bound["limited"]
        plane.discard(other)

    run(scene)


def test_what_is_discarded_changes_nothing(tmp_path: Path) -> None:
    async def scene(plane: WorkerPlane) -> None:
        first, second = plan(tmp_path, BASE), plan(tmp_path, CHANGED)
        plane.commit(await plane.prepare(difference(None, first)))
        plane.discard(await plane.prepare(difference(first, second)))
        assert await call(plane, "/limited") == (200, b"fine")

    run(scene)


def test_raising_a_limit_refills_nothing(tmp_path: Path) -> None:
    async def scene(plane: WorkerPlane) -> None:
        first, second = plan(tmp_path, BASE), plan(tmp_path, CHANGED)
        plane.commit(await plane.prepare(difference(None, first)))
        assert [(await call(plane, "/limited"))[0] for _ in range(3)] == [200, 200, 429]
        plane.commit(await plane.prepare(difference(first, second)))
        assert [(await call(plane, "/limited"))[0] for _ in range(2)] == [200, 429]  # one more, not three

    run(scene)


def test_an_old_snapshot_goes_without_the_collector(tmp_path: Path) -> None:
    """gc.freeze() keeps cycles for ever, so there must be none."""

    async def scene(plane: WorkerPlane) -> None:
        first, second = plan(tmp_path, BASE), plan(tmp_path, CHANGED)
        plane.commit(await plane.prepare(difference(None, first)))
        for path in ("/kept", "/limited", "/none"):
            await call(plane, path)
        gc.collect()
        gc.disable()
        try:
            plane.commit(await plane.prepare(difference(first, second)))
            await call(plane, "/kept")
            await plane.close()  # waits for the old table to be taken apart
            alive = [one for one in gc.get_objects() if isinstance(one, Snapshot)]
            routes = [one.name for one in gc.get_objects() if isinstance(one, LiveRoute)]
        finally:
            gc.enable()
        assert [snapshot.version for snapshot in alive] == [second.version]
        assert sorted(routes) == ["-", "kept", "limited"]

    run(scene)


def test_exchanges_leave_nothing_to_the_collector(tmp_path: Path) -> None:
    async def scene(plane: WorkerPlane) -> None:
        plane.commit(await plane.prepare(difference(None, plan(tmp_path, BASE))))
        await call(plane, "/kept")
        gc.collect()
        gc.disable()
        try:
            for path in ("/kept", "/limited", "/none", "/a/../../b"):
                await call(plane, path)
            assert gc.collect() == 0
        finally:
            gc.enable()

    run(scene)


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/kept", "GET", 200), ("/none", "GET", 404), ("/kept", "TRACE", 405)]
)
def test_requests_are_counted_and_none_stays_in_flight(tmp_path: Path, path: str, method: str, status: int) -> None:
    async def scene(plane: WorkerPlane) -> None:
        plane.commit(await plane.prepare(difference(None, plan(tmp_path, BASE))))
        assert (await call(plane, path, method))[0] == status
        assert plane.in_flight() == 0
        counted = (await plane.counters()).report().values["sluicegate_requests_total"]
        assert sum(value for value in counted.values() if isinstance(value, int)) == 1

    run(scene)


class Nothing(Block):
    """An adapter's block without fields."""


def test_adapters_are_built_off_the_event_loop(tmp_path: Path) -> None:
    built_in: list[threading.Thread] = []

    class Deaf(CallAdapter):
        async def call(self, exchange: Exchange, upstream: Calls) -> Response:
            return Response(204, Headers())

    def build(config: Nothing, scope: AdapterScope) -> Deaf:
        built_in.append(threading.current_thread())
        return Deaf()

    registry = Registry(installed().policies, {"deaf": AdapterSpec("deaf", Nothing, build)})
    route = "  - {name: deaf, match: {path: /deaf}, public: true, upstream: none, adapter: {deaf: {}}}\n"
    (tmp_path / "gateway.yaml").write_text(BASE + route + 'upstreams: {none: {targets: ["http://127.0.0.1:9"]}}\n')
    compiled = Compiler(tmp_path, registry=registry).compile()
    assert compiled.plan is not None, compiled.errors
    wanted = compiled.plan

    async def scene() -> None:
        plane = WorkerPlane(registry)
        try:
            plane.commit(await plane.prepare(difference(None, wanted)))
            assert (await call(plane, "/deaf"))[0] == 204
        finally:
            await plane.close()

    asyncio.run(scene())
    assert built_in != [threading.main_thread()]
    assert len(built_in) == 1
