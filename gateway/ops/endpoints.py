"""What the ops port answers, from what a running gateway says of itself. Counts nothing, and changes nothing by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, assert_never

from starlette.requests import Request
from starlette.responses import Response

from gateway.compile.finding import Finding
from gateway.ops.answers import Json, moment, problem
from gateway.ops.standings import standings_of
from gateway.ops.totals import Ledger, upstreams_of, usable_of
from gateway.runtime.counters import Counters
from gateway.runtime.ops_backend import OpsBackend
from gateway.runtime.reload import Abandoned, Applied, Outcome, Rejected
from gateway.telemetry.exposition import CONTENT_TYPE, exposition


class Endpoints:
    def __init__(self, backend: OpsBackend) -> None:
        self._backend = backend
        self._ledger = Ledger()
        self._scraping = asyncio.Lock()

    async def alive(self, request: Request) -> Response:
        return Json({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        backend = self._backend
        usable = usable_of(await backend.dependencies())
        status = backend.status()
        required = backend.plan().settings.ops.ready_requires
        ready = status.ready and all(fine for (_, name), fine in usable.items() if name in required)
        document = {
            "ready": ready,
            "draining": status.draining,
            "version": status.version,
            "workers": {"alive": status.workers_alive, "wanted": status.workers_wanted},
            "stores": {name: fine for (kind, name), fine in usable.items() if kind == "store"},
            "issuers": {name: fine for (kind, name), fine in usable.items() if kind == "issuer"},
        }
        return Json(document, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        async with self._scraping:  # the ledger takes reports in the order in which they were made
            counters, status, plan = await self._counters(), self._backend.status(), self._backend.plan()
            # 10,000 routes are 160,000 lines: off the loop that watches over workers
            text = await asyncio.to_thread(lambda: exposition(self._ledger.total(counters, status, plan)))
        return Response(text, media_type=CONTENT_TYPE, headers={"cache-control": "no-store"})

    async def reload(self, request: Request) -> Response:
        outcome = await self._backend.reload()
        running = self._backend.status().version
        match outcome:
            case Applied(version, changed):
                return Json({"version": version, "changed": changed})
            case Rejected(findings):
                detail = f"The configuration has errors; nothing changed, version {running} is served on. Correct the findings and reload again."
                return problem(422, "ops.configuration-errors", detail, findings=_findings(findings))
            case Abandoned(reason):
                detail = f"The configuration could not be applied: {reason}; version {running} is served on. See the log, then reload again."
                return problem(503, "ops.reload-abandoned", detail)
            case _:
                assert_never(outcome)

    async def configuration(self, request: Request) -> Response:
        status = self._backend.status()
        document = {
            "version": status.version,
            "applied_at": moment(status.applied_at),
            "started_at": moment(status.started_at),
            "listeners": list(status.listeners),
            "workers": {
                "alive": status.workers_alive,
                "wanted": status.workers_wanted,
                "replaced": status.workers_replaced,
            },
            "findings": _findings(self._backend.findings()),
            "last_reload": _attempt(status.last_reload),
            "configuration": await asyncio.to_thread(self._backend.configuration),
        }
        return Json(document)

    async def upstreams(self, request: Request) -> Response:
        counters = await self._counters()
        standings = standings_of(counters)
        return Json(
            {
                upstream: {url: {**standings.get(upstream, {}).get(url, {}), **one} for url, one in figures.items()}
                for upstream, figures in upstreams_of(counters).items()
            }
        )

    async def _counters(self) -> list[Counters]:
        return [one for one in await self._backend.counters() if isinstance(one, Counters)]


def _attempt(outcome: Outcome) -> dict[str, Any]:
    """What became of the newest attempt; not always that of the version that is served."""
    match outcome:
        case Applied(version, changed, at):
            return {"result": "applied", "at": moment(at), "version": version, "changed": changed}
        case Rejected(findings, at):
            return {"result": "rejected", "at": moment(at), "findings": _findings(findings)}
        case Abandoned(reason, at):
            return {"result": "abandoned", "at": moment(at), "reason": reason}
        case _:
            assert_never(outcome)


def _findings(findings: Sequence[Finding]) -> list[dict[str, str | int]]:
    return [finding.as_dict() for finding in findings]
