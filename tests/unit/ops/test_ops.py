"""What the ops port answers, and to whom, over a backend that says what each test wants."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.api.config import Secret
from gateway.api.orders import Revoke
from gateway.api.settings.document import Ops, Settings
from gateway.compile.finding import Finding
from gateway.compile.plan import Plan
from gateway.ops.application import ops_application
from gateway.ops.totals import Ledger
from gateway.runtime.counters import Counters
from gateway.runtime.ops_backend import Status
from gateway.runtime.reload import Abandoned, Applied, Outcome, Rejected
from gateway.telemetry.metrics import Metrics

AT = 1_795_392_699.25
MISTAKE = Finding("routes/orders.yaml", 14, 9, "error", "rate_limit.brust", "unknown field; did you mean 'burst'?")
WARNING = Finding("gateway.yaml", 3, 1, "warning", "tiers.free", "no consumer has this tier")
STATUS = Status("v1", AT, AT - 5, False, 2, 2, 0, ["http://127.0.0.1:8080"], Applied("v1", 3, AT))


@dataclass
class Backend:
    """A gateway that is as the test says."""

    ops: Ops = field(default_factory=Ops)
    state: Status = STATUS
    outcome: Outcome = field(default_factory=lambda: Applied("v2", 1, AT))
    counted: Sequence[object] = ()
    reloads: int = 0
    broken: bool = False
    dependent: Sequence[Mapping[str, bool]] = ()
    routes: Sequence[str] = ("orders",)

    def status(self) -> Status:
        if self.broken:
            raise RuntimeError("hidden detail")
        return self.state

    def plan(self) -> Plan:
        routes: dict[str, Any] = dict.fromkeys(self.routes)
        return Plan("v1", Settings(version=1, ops=self.ops), routes, {}, {}, {}, ())

    def findings(self) -> Sequence[Finding]:
        return [WARNING]

    def configuration(self) -> Mapping[str, Any]:
        return {"version": 1, "ops": {"token": "${env:OPS_TOKEN}"}}

    async def reload(self) -> Outcome:
        self.reloads += 1
        return self.outcome

    async def counters(self) -> list[object]:
        return list(self.counted)

    async def dependencies(self) -> list[Mapping[str, bool]]:
        return list(self.dependent)

    async def remember(self, order: Revoke) -> bool:
        return True

    async def purge(self, request: object) -> list[object]:
        return []


def call(backend: Backend, method: str, path: str, host: str = "127.0.0.1:9090", **fields: str) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(ops_application(backend), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, headers={name.replace("_", "-"): v for name, v in fields.items()})

    return asyncio.run(go())


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"].endswith(code)
    return document


# who may call

TOKEN = Ops(host="0.0.0.0", token=Secret("s3cret", "${env:OPS_TOKEN}"))
PROTECTED = [("POST", "/reload"), ("GET", "/config"), ("GET", "/upstreams"), ("GET", "/nowhere")]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_a_token_is_asked_for(method: str, path: str) -> None:
    backend = Backend(ops=TOKEN)
    missing = call(backend, method, path)
    problem(missing, 401, "ops.token-missing")
    assert missing.headers["www-authenticate"] == 'Bearer realm="sluicegate ops"'
    wrong = call(backend, method, path, authorization="Bearer s3cre")
    assert "s3cre" not in wrong.text
    problem(wrong, 401, "ops.token-wrong")
    problem(call(backend, method, path, authorization="Basic s3cret"), 401, "ops.token-missing")
    assert call(backend, method, path, authorization="bearer s3cret").status_code in (200, 404)
    assert backend.reloads == (method == "POST")


def test_health_never_needs_a_token_and_metrics_when_configured() -> None:
    backend = Backend(ops=TOKEN)
    assert [call(backend, "GET", path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]
    backend.ops = TOKEN.model_copy(update={"metrics": "token"})
    assert [call(backend, "GET", path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 401]
    assert call(backend, "GET", "/metrics", authorization="Bearer s3cret").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:9090", "localhost", "[::1]:9090", "127.8.9.1"])
def test_without_a_token_this_machine_may_call(host: str) -> None:
    assert call(Backend(), "POST", "/reload", host=host).status_code == 200
    assert call(Backend(), "POST", "/reload", host=host, origin=f"http://{host}").status_code == 200


def test_without_a_token_no_web_page_may_call() -> None:
    backend = Backend()
    problem(call(backend, "GET", "/config", host="rebound.example"), 403, "ops.foreign")
    for origin in ("https://page.example", "null", "http://127.0.0.1.page.example", "http://["):
        problem(call(backend, "POST", "/reload", origin=origin), 403, "ops.foreign")
    assert backend.reloads == 0
    assert call(backend, "GET", "/healthz", host="10.0.0.7").status_code == 200


# what it answers


def test_alive() -> None:
    assert call(Backend(), "GET", "/healthz").json() == {"status": "alive"}


def test_ready_while_a_worker_serves() -> None:
    answer = call(Backend(state=replace(STATUS, workers_alive=1)), "GET", "/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "draining": False,
        "version": "v1",
        "workers": {"alive": 1, "wanted": 2},
        "stores": {},
        "issuers": {},
    }


def test_readiness_shows_what_the_gateway_depends_on_and_requires_what_it_is_told_to() -> None:
    said = [{"issuer:partners": True, "store:cache": True}, {"issuer:partners": False}]
    backend = Backend(dependent=said)
    answer = call(backend, "GET", "/readyz")
    assert answer.status_code == 200
    assert answer.json()["issuers"] == {"partners": False}
    assert answer.json()["stores"] == {"cache": True}
    backend.ops = Ops(ready_requires=("cache", "unused"))
    assert call(backend, "GET", "/readyz").status_code == 200
    backend.ops = Ops(ready_requires=("partners",))
    assert call(backend, "GET", "/readyz").status_code == 503


@pytest.mark.parametrize("state", [replace(STATUS, draining=True), replace(STATUS, workers_alive=0)])
def test_not_ready_when_draining_or_without_workers(state: Status) -> None:
    answer = call(Backend(state=state), "GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False


def test_reload_applied() -> None:
    answer = call(Backend(), "POST", "/reload")
    assert answer.status_code == 200
    assert answer.json() == {"version": "v2", "changed": 1}
    assert answer.headers["cache-control"] == "no-store"


def test_reload_with_errors_shows_every_finding() -> None:
    answer = call(Backend(outcome=Rejected([MISTAKE, WARNING], AT)), "POST", "/reload")
    document = problem(answer, 422, "ops.configuration-errors")
    assert "v1 is served on" in document["detail"]
    assert document["findings"][0] == {
        "file": "routes/orders.yaml",
        "line": 14,
        "column": 9,
        "level": "error",
        "path": "rate_limit.brust",
        "message": "unknown field; did you mean 'burst'?",
    }
    assert len(document["findings"]) == 2


def test_reload_that_a_worker_could_not_apply() -> None:
    answer = call(Backend(outcome=Abandoned("worker 1 did not answer", AT)), "POST", "/reload")
    assert "worker 1 did not answer" in problem(answer, 503, "ops.reload-abandoned")["detail"]


def test_reload_is_no_get() -> None:
    backend = Backend()
    answer = call(backend, "GET", "/reload")
    problem(answer, 405, "ops.method-not-allowed")
    assert answer.headers["allow"] == "POST"
    assert backend.reloads == 0


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (Applied("v1", 3, AT), {"result": "applied", "version": "v1", "changed": 3}),
        (Rejected([MISTAKE], AT), {"result": "rejected", "findings": [MISTAKE.as_dict()]}),
        (Abandoned("why", AT), {"result": "abandoned", "reason": "why"}),
    ],
)
def test_config_shows_what_runs_and_what_became_of_the_last_attempt(last: Outcome, shown: dict[str, Any]) -> None:
    document = call(Backend(state=replace(STATUS, last_reload=last)), "GET", "/config").json()
    assert document["version"] == "v1"
    assert document["applied_at"] == "2026-11-23T00:11:39.250Z"
    assert document["started_at"] == "2026-11-23T00:11:34.250Z"
    assert document["findings"] == [WARNING.as_dict()]
    assert document["last_reload"] == {"at": "2026-11-23T00:11:39.250Z", **shown}
    assert document["configuration"]["ops"]["token"] == "${env:OPS_TOKEN}"


def worker(requests: int, idle: int, process: str = "", route: str = "orders") -> Counters:
    metrics = Metrics()
    for _ in range(requests):
        metrics.route(route).observe("GET", 200, "free", 0.004)
    metrics.in_flight = 1
    parts = tuple(pickle.dumps(part) for part in metrics.parts())
    figures = {"open": 3, "idle": idle, "opening": 0, "waiting": 1, "waits": 0, "requests": requests, "errors": 0}
    upstreams = {"orders": {"http://10.0.0.1:8080": figures}}
    return Counters(process or f"{requests} requests", parts, upstreams)


def test_upstreams_of_all_workers_in_one() -> None:
    document = call(Backend(counted=[worker(3, 2), worker(4, 3)]), "GET", "/upstreams").json()
    figures = document["orders"]["http://10.0.0.1:8080"]
    assert (figures["open"], figures["idle"], figures["requests"]) == (6, 5, 7)


def standing(state: str, why: str, **more: float) -> dict[str, Any]:
    return {"orders": {"http://10.0.0.1:8080": {"state": state, "why": why, "called": state == "in", **more}}}


def test_where_workers_differ_a_target_is_shown_as_the_one_that_sees_it_worst() -> None:
    fine = replace(worker(3, 2), standings=standing("in", "", closes_idle_after_s=5.0))
    bad = replace(
        worker(4, 3), standings=standing("ejected", "5 failed calls", back_in_s=12.5, closes_idle_after_s=4.9)
    )
    backend = Backend(counted=[fine, bad, fine])
    shown = call(backend, "GET", "/upstreams").json()["orders"]["http://10.0.0.1:8080"]
    assert {
        name: shown[name] for name in ("state", "why", "called", "workers", "back_in_s", "closes_idle_after_s")
    } == {
        "state": "ejected",
        "why": "5 failed calls",
        "called": True,
        "workers": {"in": 2, "ejected": 1},
        "back_in_s": 12.5,
        "closes_idle_after_s": 4.9,
    }
    text = call(backend, "GET", "/metrics").text
    label = 'sluicegate_upstream_target_state{state="%s",target="http://10.0.0.1:8080",upstream="orders"} %s'
    assert label % ("ejected", "1.0") in text
    assert label % ("in", "2.0") in text
    assert label % ("unhealthy", "0.0") in text


def test_metrics_of_all_workers_in_one() -> None:
    state = replace(STATUS, workers_alive=1, workers_replaced=4, last_reload=Rejected([MISTAKE], AT))
    answer = call(Backend(state=state, counted=[worker(3, 2), worker(4, 3)]), "GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["sluicegate_requests_total", "GET", "orders", "200", "free"] == 7
    assert samples["sluicegate_config_info", "v1"] == 1
    assert samples["sluicegate_config_last_reload_ok",] == 0
    assert samples["sluicegate_config_applied_timestamp_seconds",] == AT
    assert samples["sluicegate_workers_alive",] == 1
    assert samples["sluicegate_workers_wanted",] == 2
    assert samples["sluicegate_workers_replaced_total",] == 4
    assert samples["sluicegate_upstream_connections", "busy", "http://10.0.0.1:8080", "orders"] == 1
    assert samples["sluicegate_upstream_waiting_calls", "http://10.0.0.1:8080", "orders"] == 2


REQUESTS = "sluicegate_requests_total"
LABELS = ("orders", "GET", "200", "free")


def test_sums_do_not_step_back_when_a_worker_is_gone() -> None:
    ledger, plan, status = Ledger(), Backend().plan(), STATUS
    both = ledger.total([worker(3, 2, "a"), worker(4, 3, "b")], status, plan)
    assert both.values[REQUESTS][LABELS] == 7
    busy = ledger.total([worker(5, 3, "b")], status, plan)  # `a` is alive, but did not answer this time
    assert busy.values[REQUESTS][LABELS] == 8
    assert busy.values["sluicegate_in_flight_requests"][()] == 1, "gauges are of those that answer"
    replaced = ledger.total([worker(6, 3, "b"), worker(1, 3, "c")], status, plan)
    assert replaced.values[REQUESTS][LABELS] == 10
    again = ledger.total([worker(6, 3, "b"), worker(2, 3, "c")], status, plan)
    assert again.values[REQUESTS][LABELS] == 11
    assert again.values["sluicegate_request_seconds"][("orders",)][0][2] == 11  # type: ignore[index]  # a histogram


def test_routes_that_are_gone_leave_the_sums() -> None:
    ledger, status = Ledger(), STATUS
    old = Backend(routes=["old"]).plan()
    ledger.total([worker(3, 2, "a", "old"), worker(4, 3, "b", "old")], status, old)
    new = ledger.total([worker(5, 2, "b"), worker(1, 2, "c")], status, Backend().plan())
    assert set(new.values[REQUESTS]) == {LABELS}
    back = ledger.total([worker(1, 2, "b", "old"), worker(1, 2, "c", "old")], status, old)
    assert set(back.values[REQUESTS].values()) == {2}


def test_unknown_paths_are_problems_and_slashes_are_not_guessed() -> None:
    problem(call(Backend(), "GET", "/nowhere"), 404, "ops.not-found")
    problem(call(Backend(), "GET", "/config/"), 404, "ops.not-found")


def test_a_bug_tells_nothing() -> None:
    answer = call(Backend(broken=True), "GET", "/readyz")
    problem(answer, 500, "ops.internal")
    assert "hidden" not in answer.text
