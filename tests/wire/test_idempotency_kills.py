"""kill -9 of the gateway under load, a few rounds: nothing is executed twice, and every key ends as it must.

The long form is `loadtests/idempotency.py kill`, with two hundred rounds.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import pytest

LOADTESTS = Path(__file__).parent.parent.parent / "loadtests"


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_nothing_is_executed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, store: str
) -> None:
    if store == "redis":
        store = f"{request.getfixturevalue('redis_server').url}?acks=0"
    monkeypatch.syspath_prepend(str(LOADTESTS))
    kills = importlib.import_module("idempotency_kill")
    killed = asyncio.run(kills.kill(3, tmp_path, store, callers=4))
    assert killed.good, kills.table(killed)
    assert all(killed.keys.values())
