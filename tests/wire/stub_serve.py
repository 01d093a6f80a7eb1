"""`serve` with the stub plane and a configuration of a few words: `python -m tests.wire.stub_serve FILE [WORKERS] [SERVER]`.

FILE holds JSON: {"version", "routes", "listen", "drain"}, or {"errors": [message]}.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from gateway.compile.finding import Finding
from gateway.compile.plan import Plan
from gateway.runtime.supervisor import Supervisor
from gateway.runtime.worker_process import WorkerOptions
from gateway.telemetry import logs
from tests.wire.stub_plane import plan_of


@dataclass
class StubCompiled:
    plan: Plan | None
    findings: list[Finding]
    files: list[str]


def compile_file(path: Path) -> StubCompiled:
    document = json.loads(path.read_text())
    if "errors" in document:
        findings = [Finding(path.name, 1, 1, "error", "", message) for message in document["errors"]]
        return StubCompiled(None, findings, [str(path)])
    listen = document.get("listen", {})
    return StubCompiled(
        plan_of(document["version"], document.get("routes", ()), document.get("drain"), **listen), [], [str(path)]
    )


def ops_app(backend: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        answer: object
        if path == "/reload":
            outcome = await backend.reload()
            answer = {"outcome": type(outcome).__name__, "reason": getattr(outcome, "reason", "")}
        elif path == "/counters":
            answer = await backend.counters()
        elif path == "/purge":
            answer = await backend.purge("everything")
        else:
            status = backend.status()
            answer = {
                "version": status.version,
                "ready": status.ready,
                "alive": status.workers_alive,
                "replaced": status.workers_replaced,
                "listeners": list(status.listeners),
                "last": type(status.last_reload).__name__,
            }
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return app


async def serve(path: Path, workers: int, server: Any) -> int:
    options = WorkerOptions("tests.wire.stub_plane:make", workers, server)
    return await Supervisor(lambda: compile_file(path), options, ops_app=ops_app, watch=[path.parent]).run()


if __name__ == "__main__":
    logs.configure("info")
    arguments = [*sys.argv[1:], "1", "auto"][:3] if len(sys.argv) == 2 else sys.argv[1:]
    sys.exit(uvloop.run(serve(Path(arguments[0]), int(arguments[1]), arguments[2])))
