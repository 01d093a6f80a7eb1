"""A gateway that can be killed and is back within a tenth of a second: forked from a process that has everything imported.

    python loadtests/idempotency_process.py

For each line on its input, a configuration, it forks a process that serves it, supervisor's part and worker's part in one, and writes
that one's number.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from gateway.compile import compile_configuration
from gateway.compile.plan import Plan
from gateway.compile.registry import Registry, installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway


def main() -> None:
    specs = installed()
    plans: dict[str, Plan] = {}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed ones need no burial
    for line in sys.stdin:
        config = line.strip()
        if config not in plans:
            compiled = compile_configuration(Path(config))
            assert compiled.plan is not None, compiled.findings
            plans[config] = compiled.plan
        child = os.fork()
        if child == 0:
            serve(plans[config], specs)
            os._exit(0)
        print(child, flush=True)


def serve(plan: Plan, specs: Registry) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    logging.basicConfig(level=logging.WARNING)

    async def until_killed() -> None:
        async with Gateway(plan, WorkerPlane(specs), ports=[listen.port for listen in plan.settings.listen]):
            await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_killed())


if __name__ == "__main__":
    main()
