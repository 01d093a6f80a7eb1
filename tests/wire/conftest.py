"""Every play of the wire is performed on both servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tests.wire.plays import Server, Stage, perform

Perform = Callable[..., None]


@pytest.fixture(params=["granian", "uvicorn"])
def server(request: pytest.FixtureRequest) -> Server:
    kind: Server = request.param
    return kind


@pytest.fixture
def play(server: Server) -> Perform:
    """`play(scene, *scripts, …)`: see tests.wire.plays.perform."""
    return partial(perform, server)


Scene = Callable[[Stage], Awaitable[None]]
