"""What chaos.py runs: upstream processes that can be killed, and the gateway and Envoy over the same upstreams.

An upstream is described once (`Up`), and translated into each one's own words as closely as these allow.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import envoy_binary
from sidebyside import start, stop, wait_port

HERE = Path(__file__).parent
PEERS_CORE, OTHERS_CORE = 0, 1
PLENTY = 8192


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Target:
    """One upstream process, on a port of its own through its lives."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.port = free_port()
        self.executed = folder / f"{name}.executed"
        self._options = options
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(HERE / "chaos_upstream.py"), str(self.port), str(self.executed), *self._options]
        self.process = subprocess.Popen(command)
        wait_port(self.port, self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def calls(self) -> Counter[str]:
        return Counter(self.executed.read_text().split()) if self.executed.exists() else Counter()


@dataclass(frozen=True)
class Up:
    """An upstream with what protects it. `retry`: GET again on a reset, a refusal, 502 to 504; POST only on a refusal."""

    ports: tuple[int, ...]
    retry: bool = False
    open_s: float | None = None  # a breaker: 5 failures in a row open it for so long
    bulkhead: int | None = None
    attempt_s: float = 10.0
    total_s: float = 30.0


class Gateway:
    """`sluicegate serve`, one worker; a route `/NAME/**` to each upstream, and `/respond/**`, which needs none."""

    name = "sluicegate"

    def __init__(self, folder: Path, upstreams: dict[str, Up], server: str) -> None:
        self.port = free_port()
        folder = folder / f"gateway-{self.port}"
        folder.mkdir()
        routes: list[dict[str, Any]] = [
            {"name": name, "match": {"path": f"/{name}/**"}, "upstream": name, "public": True} for name in upstreams
        ]
        routes.append(
            {"name": "respond", "match": {"path": "/respond/**"}, "public": True, "respond": {"body": {"ok": True}}}
        )
        document = {
            "version": 1,
            "listen": {"host": "127.0.0.1", "port": self.port, "server": server},
            "ops": {"port": free_port()},
            "drain": {"delay": "0s"},
            "log": {"access": str(folder / "access.log"), "level": "error"},
            "upstreams": {name: _upstream(up) for name, up in upstreams.items()},
            "routes": routes,
        }
        (folder / "gateway.yaml").write_text(json.dumps(document))
        program = str(Path(sys.executable).with_name("sluicegate"))
        command = [program, "serve", "--config", str(folder), "--state", str(folder.parent / f"state-{self.port}")]
        self.process = start(command, PEERS_CORE, folder / "stderr")
        _wait_ready(self.port, self.process)

    def stop(self) -> None:
        stop(self.process)


def _upstream(up: Up) -> dict[str, Any]:
    policies: dict[str, Any] = {"timeout": {"attempt": f"{up.attempt_s:g}s", "total": f"{up.total_s:g}s"}}
    if up.retry:
        policies["retry"] = {"on": ["connect", "reset", 502, 503, 504]}
    if up.open_s is not None:
        policies["breaker"] = {"failures": 5, "open": f"{up.open_s:g}s"}
    if up.bulkhead is not None:
        policies["bulkhead"] = {"max": up.bulkhead}
    return {"targets": [f"http://127.0.0.1:{port}" for port in up.ports], "policies": policies}


class Envoy:
    """Envoy with one worker thread. Its breaker is outlier ejection, of all targets if need be."""

    name = "envoy"

    def __init__(self, folder: Path, upstreams: dict[str, Up]) -> None:
        self.port = free_port()
        path = folder / f"envoy-{self.port}.json"
        routes = [route for name, up in upstreams.items() for route in _routes(name, up)]
        respond = {"status": 200, "body": {"inline_string": '{"ok":true}'}}
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "i",
            "access_log": [
                {
                    "name": "envoy.access_loggers.file",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                        "path": str(folder / f"envoy-{self.port}.log"),
                    },
                }
            ],
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "v",
                        "domains": ["*"],
                        "routes": [*routes, {"match": {"prefix": "/respond/"}, "direct_response": respond}],
                    }
                ]
            },
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    },
                }
            ],
        }
        listener = {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.port}},
            "filter_chains": [
                {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
            ],
        }
        clusters = [_cluster(name, up) for name, up in upstreams.items()]
        path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}}))
        binary = envoy_binary()
        assert binary is not None, "asked for only where it is installed"
        command = [binary, "-c", str(path), "--concurrency", "1", "-l", "off", "--disable-hot-restart"]
        self.process = start(command, PEERS_CORE, folder / f"envoy-{self.port}.stderr")
        _wait_ready(self.port, self.process)

    def stop(self) -> None:
        stop(self.process)


def _wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until it answers: the gateway listens before its worker is there."""
    wait_port(port, process)
    urllib.request.urlopen(f"http://127.0.0.1:{port}/respond/x", timeout=20).close()


def _routes(name: str, up: Up) -> list[dict[str, Any]]:
    get = {"name": ":method", "string_match": {"exact": "GET"}}
    action: dict[str, Any] = {"cluster": name, "timeout": f"{up.total_s if up.retry else up.attempt_s:g}s"}
    if not up.retry:
        return [{"match": {"prefix": f"/{name}/"}, "route": action}]
    others = {
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        },
    }
    again = {
        "num_retries": 2,
        "per_try_timeout": f"{up.attempt_s:g}s",
        "retry_host_predicate": [others],
        "host_selection_retry_max_attempts": 3,
    }
    safe, unsafe = "reset,connect-failure,refused-stream,gateway-error", "connect-failure,refused-stream"
    return [
        {
            "match": {"prefix": f"/{name}/", "headers": [get]},
            "route": {**action, "retry_policy": {**again, "retry_on": safe}},
        },
        {"match": {"prefix": f"/{name}/"}, "route": {**action, "retry_policy": {**again, "retry_on": unsafe}}},
    ]


def _cluster(name: str, up: Up) -> dict[str, Any]:
    most = up.bulkhead or PLENTY
    outlier: dict[str, Any] = {"consecutive_5xx": 5, "base_ejection_time": "1s"}
    if up.open_s is not None:
        outlier.update(base_ejection_time=f"{up.open_s:g}s", max_ejection_percent=100, interval="0.1s")
    ends = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in up.ports
    ]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0 if up.open_s is not None else 50}},
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": most, "max_pending_requests": most, "max_requests": most, "max_retries": PLENTY}
            ]
        },
        "outlier_detection": outlier,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": ends}]},
    }
