"""Writes a large configuration: many routes and consumers in files of a hundred each, for measuring growth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

PER_FILE = 100

GATEWAY = """\
version: 1
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{port: {ops_port}}}
issuers:
  partners: {{issuer: "{issuer}", audience: orders{jwks}}}
tiers:
  free: {{rate: 5/s, burst: 10}}
  premium: {{rate: 100000/s, burst: 200000}}
upstreams:
  orders: {{targets: ["{target}"], timeout: 2s}}
defaults:
  policies:
    request_size: {{max: 1MiB}}
    oauth2: {{issuer: partners}}
routes:
  - name: home
    match: {{method: GET, path: /home}}
    upstream: orders
    public: true
"""

ROUTE = """\
  - name: route-{number}
    match: {{method: [GET, POST], path: "/service-{service}/resource-{number}/{{id}}"}}
    upstream: orders
    policies:
      oauth2: {{issuer: partners, scopes: ["resource-{number}:read"]}}
      rate_limit: {{per: consumer}}
      headers: {{request: {{set: {{X-Route: "route-{number}"}}}}}}
"""

CONSUMER = """\
  consumer-{number}:
    tier: premium
    client_ids: [client-{number}]
    labels: {{region: eu, account: "{number}"}}
"""


def write_config(
    folder: Path,
    routes: int,
    consumers: int,
    *,
    port: int = 8080,
    ops_port: int = 9090,
    target: str = "http://127.0.0.1:9000",
    issuer: str = "https://idp.example",
    jwks: str = "",
) -> None:
    """A configuration folder with that many routes (beside /home) and consumers. Existing files are written over."""
    (folder / "routes").mkdir(parents=True, exist_ok=True)
    named = f', jwks: "{jwks}"' if jwks else ""
    (folder / "gateway.yaml").write_text(
        GATEWAY.format(port=port, ops_port=ops_port, target=target, issuer=issuer, jwks=named)
    )
    for number, text in enumerate(_files(routes, consumers)):
        (folder / "routes" / f"part-{number:04d}.yaml").write_text(text)


def _files(routes: int, consumers: int) -> Iterator[str]:
    for start in range(0, max(routes, consumers), PER_FILE):
        text = ""
        if start < routes:
            text += "routes:\n"
            for number in range(start, min(start + PER_FILE, routes)):
                text += ROUTE.format(number=number, service=number % 50)
        if start < consumers:
            text += "consumers:\n"
            for number in range(start, min(start + PER_FILE, consumers)):
                text += CONSUMER.format(number=number)
        yield text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--consumers", type=int, default=10_000)
    arguments = parser.parse_args()
    write_config(arguments.folder, arguments.routes, arguments.consumers)
