"""What a worker tells of itself follows what it opens and begins."""

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.telemetry.process_metrics import DESCRIPTORS, RESIDENT, TASKS, process_values


@pytest.mark.skipif(sys.platform != "linux", reason="told where /proc is")
def test_tasks_and_descriptors_are_counted(tmp_path: Path) -> None:
    async def told() -> dict[str, float]:
        return {family.name: value for family, _, value in process_values()}

    async def run() -> None:
        before = await told()
        assert before[RESIDENT.name] > 2**20
        waiting = [asyncio.create_task(asyncio.Event().wait()) for _ in range(3)]
        files = [(tmp_path / str(number)).open("w") for number in range(5)]
        during = await told()
        assert during[TASKS.name] - before[TASKS.name] == 3
        assert during[DESCRIPTORS.name] - before[DESCRIPTORS.name] == 5
        for file in files:
            file.close()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        after = await told()
        assert (after[TASKS.name], after[DESCRIPTORS.name]) == (before[TASKS.name], before[DESCRIPTORS.name])

    asyncio.run(run())
