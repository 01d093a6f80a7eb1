"""Owners stopped past their lease, and a Redis that fails in every way, a few seconds of each: nothing is executed twice.

The long form, with the settings that do lose records beside it, is `loadtests/idempotency.py faults`.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LOADTESTS = Path(__file__).parent.parent.parent / "loadtests"
BRIEF = {"lease_s": 1.2, "total_s": 1.0}


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(LOADTESTS))
    return importlib.import_module("idempotency_faults")


def judge(faults: ModuleType, seen: Any) -> None:
    # a busy machine may keep the store away still when the keys are asked for once more: that is no answer, and no harm
    assert seen.twice == seen.differing == 0, faults.table([seen])
    assert set(seen.ends) <= {"its answer", "idempotency.outcome-unknown", "idempotency.store-unavailable"}
    assert seen.ends["its answer"] > seen.keys / 4, faults.table([seen])


def test_an_owner_that_was_stopped_past_its_lease(tmp_path: Path, faults: ModuleType) -> None:
    scene = faults.Scene(tmp_path, "sqlite", **BRIEF)
    judge(faults, asyncio.run(scene.play("stopped", lambda scene: faults.stopped_owner(scene, times=1))))


def test_redis_killed_paused_full_and_its_replies_lost(tmp_path: Path, faults: ModuleType, redis_program: str) -> None:
    async def everything(scene: Any) -> None:
        await faults.lost_replies(scene, times=4)
        await faults.paused_redis(scene, pauses_s=(1.5,))  # longer than the lease
        await faults.killed_redis(scene, times=1)
        await faults.full_redis(scene, times=1)

    async def play() -> None:
        redis, relay = faults.Redis(tmp_path / "redis", faults.ALWAYS, program=redis_program), faults.Relay()
        redis.start()
        await relay.open(redis.port)
        try:
            scene = faults.Scene(
                tmp_path, f"redis://127.0.0.1:{relay.port}/0?acks=0", redis, relay, goes_on_s=0.7, **BRIEF
            )
            judge(faults, await scene.play("everything", everything))
            assert relay.cuts
        finally:
            await relay.close()
            redis.kill()

    asyncio.run(play())


def test_redis_failed_over_to_a_replica_that_was_behind(tmp_path: Path, faults: ModuleType, redis_program: str) -> None:
    judge(faults, asyncio.run(faults.failed_over(tmp_path, 1, program=redis_program, after_s=1.5, **BRIEF)))
