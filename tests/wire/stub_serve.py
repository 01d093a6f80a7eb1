"""`serve` with the stub plane and a configuration of a few words: `python -m tests.wire.stub_serve FILE WORKERS SERVER watch|still`.

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
    files: list[Path]

    def document(self) -> dict[str, object]:
        return {}


def compile_file(path: Path) -> StubCompiled:
    document = json.loads(path.read_text())
    if "errors" in document:
        findings = [Finding(path.name, 1, 1, "error", "", message) for message in document["errors"]]
        return StubCompiled(None, findings, [path])
    listen = document.get("listen", {})
    return StubCompiled(
        plan_of(document["version"], document.get("routes", ()), document.get("drain"), document.get("ops"), **listen),
        [],
        [path],
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
        body = json.dumps(answer).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def serve(path: Path, workers: int, server: Any, watch: str) -> int:
    options = WorkerOptions("tests.wire.stub_plane:make", workers, server)
    return await Supervisor(
        lambda: compile_file(path), options, ops_app=ops_app, watch=[path.parent] if watch == "watch" else None
    ).run()


if __name__ == "__main__":
    logs.configure("info")
    _, file, count, kind, watching = sys.argv
    sys.exit(uvloop.run(serve(Path(file), int(count), kind, watching)))
