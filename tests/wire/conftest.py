"""Every play of the wire is performed on both servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.upstream import Script
from tests.wire.plays import Server, Stage, perform

Perform = Callable[..., None]
Scene = Callable[[Stage], Awaitable[None]]


@pytest.fixture(params=["granian", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Server:
    kind: Server = request.param
    return kind


@pytest.fixture
def play(server: Server) -> Perform:
    """`play(scene, *scripts, …)`: see tests.wire.plays.perform."""
    return partial(perform, server)


@pytest.fixture
def combined(play: Perform, tmp_path: Path) -> Perform:
    """`combined(scene, *scripts, upstream={...}, retry={...}, ...)`: one route with these policies, records in SQLite."""

    def performed(scene: Scene, *scripts: Script, upstream: dict[str, Any] | None = None, **policies: Any) -> None:
        route = {
            "name": "orders",
            "match": {"path": "/orders/**"},
            "public": True,
            "upstream": "orders",
            "policies": policies,
        }
        play(scene, *scripts, routes=[route], upstream=upstream or {}, state=str(tmp_path / "state"))

    return performed
