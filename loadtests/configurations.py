"""Configurations of the gateway for the benchmarks: written to a folder, served with `sluicegate serve`.

    python loadtests/configurations.py passthrough|secured|secured-cold|secured-cold-es256|cached FOLDER [--port 8080] [--upstream http://127.0.0.1:9001]

`secured` and its like expect the key set of the tokens beside FOLDER, as jwks.json (loadtests/sidebyside.py writes it there).
"""

from __future__ import annotations

import argparse
from pathlib import Path

CALLERS = 1000

PASSTHROUGH = """\
version: 1
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{port: {ops_port}}}
log: {{access: {folder}/access.log}}
upstreams:
  orders: {{targets: ["{upstream}"]}}
routes:
  - name: orders
    match: {{path: /orders/**}}
    upstream: orders
    public: true
"""

CACHED = f"""{PASSTHROUGH}\
    policies: {{{{cache: {{{{}}}}}}}}
"""

SECURED = """\
version: 1
listen: {{host: 127.0.0.1, port: {port}}}
ops: {{port: {ops_port}}}
log: {{access: {folder}/access.log}}
issuers:
  partners: {{issuer: "https://idp.example", audience: orders, jwks: {folder}/../../jwks.json}}
tiers:
  partner: {{rate: 100000/s, burst: 100000}}
upstreams:
  orders: {{targets: ["{upstream}"]}}
routes:
  - name: orders
    match: {{path: /orders/**}}
    upstream: orders
    policies:
      oauth2: {{issuer: partners, scopes: ["orders:read"]}}
      rate_limit: {{per: consumer}}
consumers:
"""


TEXTS = {
    "passthrough": PASSTHROUGH,
    "secured": SECURED,
    "secured-cold": SECURED,
    "secured-cold-es256": SECURED,
    "cached": CACHED,
}


def write(scenario: str, folder: Path, port: int, upstream: str = "http://127.0.0.1:9001") -> Path:
    """Write the configuration of `scenario` below `folder` and return the configuration's folder."""
    target = folder.resolve() / f"sluicegate-{scenario}"
    target.mkdir(parents=True, exist_ok=True)
    text = TEXTS[scenario].format(port=port, ops_port=port + 1000, folder=target, upstream=upstream)
    if text.endswith("consumers:\n"):
        text += "".join(
            f"  caller-{number}: {{tier: partner, client_ids: [caller-{number}]}}\n" for number in range(CALLERS)
        )
    (target / "gateway.yaml").write_text(text)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=TEXTS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--upstream", default="http://127.0.0.1:9001")
    arguments = parser.parse_args()
    print(write(arguments.scenario, arguments.folder, arguments.port, arguments.upstream))


if __name__ == "__main__":
    main()
