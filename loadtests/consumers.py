"""What 100,000 consumers cost, against ten and a thousand: finding one, compiling them, keeping them in a worker.

    python loadtests/consumers.py [--runs 3] [--record]

Each consumer has a tier, a client id and an API key, every tenth a certificate too. Printed are, in µs of CPU and as the best of many rounds,
finding a consumer by client, key and certificate, and an API key's whole check, each with callers in random order; the time of a
cold compilation in seconds (median over --runs); and resident memory of a worker of `sluicegate serve` in octets a consumer, over
one with ten, with the first configuration and after a second in which every consumer changed. --record writes loadtests/results/consumers.txt.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen

from machine import record
from processes import cpu_and_rss, process_tree
from timing import best

from gateway.compile import Compiler
from gateway.compile.plan import Plan
from gateway.runtime.consumers import ConsumerTable
from gateway.testing.exchange import FakeScope, FakeSnapshot, make_exchange
from policies import api_key

SIZES = (10, 1_000, 100_000)
ASKED = 1_000  # callers of one round
ROUNDS = 25
WITH_CERTIFICATE = 10
OPS_PORT = 9390

GATEWAY = f"""\
version: 1
listen: {{host: 127.0.0.1, port: 9290}}
ops: {{port: {OPS_PORT}}}
log: {{access: off}}
drain: {{delay: 0s}}
issuers: {{partners: {{issuer: "https://idp.example", audience: orders, jwks: jwks.json}}}}
tiers: {{premium: {{rate: 100/s}}, basic: {{rate: 10/s}}}}
routes:
  - name: token
    match: {{path: /token}}
    policies: {{oauth2: {{issuer: partners}}, rate_limit: {{per: consumer}}}}
    respond: {{status: 200, body: ok}}
  - {{name: key, match: {{path: /key}}, policies: {{api_key: {{}}, rate_limit: {{per: consumer}}}}, respond: {{status: 200, body: ok}}}}
"""


def key_of(number: int) -> str:
    return f"sgk_k{number:07d}_" + "a" * 43


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder: Path, size: int, tier: str = "premium") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "jwks.json").write_text('{"keys": []}')
    (folder / "gateway.yaml").write_text(GATEWAY)
    (folder / "routes").mkdir(exist_ok=True)
    for first in range(0, size, 1_000):
        rows = (
            f"  partner-{number}: {{tier: {tier}, client_ids: [client-{number}], "
            f"api_keys: [{{id: k1, sha256: {digest(key_of(number))}}}]"
            + (f", certificates: [{{sha256: {digest(f'certificate {number}')}}}]" * (number % WITH_CERTIFICATE == 0))
            + "}\n"
            for number in range(first, min(first + 1_000, size))
        )
        (folder / "routes" / f"partners-{first}.yaml").write_text("consumers:\n" + "".join(rows))


def compiled(folder: Path) -> Plan:
    done = Compiler(folder).compile()
    if done.plan is None:
        raise SystemExit("\n".join(map(str, done.findings)))
    return done.plan


def look_ups(plan: Plan, size: int) -> list[float]:
    table = ConsumerTable.of(plan.consumers)
    chosen = [random.Random(size).randrange(size) for _ in range(ASKED)]
    clients = [f"client-{number}" for number in chosen]
    digests = [bytes.fromhex(digest(key_of(number))) for number in chosen]
    certificates = [bytes.fromhex(digest(f"certificate {number - number % WITH_CERTIFICATE}")) for number in chosen]
    authenticator = api_key.POLICY.build(api_key.POLICY.config(), FakeScope(policy="api_key"))
    snapshot = FakeSnapshot(consumers=table)
    exchanges = []
    for number in chosen:
        exchange = make_exchange(headers=[("x-api-key", key_of(number))])
        exchange.snapshot = snapshot
        exchanges.append(exchange)
    found = [table.by_client("partners", one) for one in clients] + [
        table.by_certificate(one, "") for one in certificates
    ]
    if not all(found):
        raise SystemExit("a consumer was not found")
    gc.collect()
    gc.disable()
    costs = [
        best(clients, lambda one: table.by_client("partners", one), ROUNDS),
        best(digests, table.by_key_digest, ROUNDS),
        best(certificates, lambda one: table.by_certificate(one, ""), ROUNDS),
        best(exchanges, authenticator.identify_nowait, ROUNDS),  # type: ignore[union-attr]
    ]
    gc.enable()
    return costs


@contextmanager
def serving(folder: Path, state: Path) -> Iterator[int]:
    """The pid of the one worker."""
    sluicegate = Path(sys.executable).parent / "sluicegate"
    command = [str(sluicegate), "serve", "--config", str(folder), "--state", str(state)]
    with (folder.parent / "serve.log").open("ab") as log:
        process = Popen(command, stdout=DEVNULL, stderr=log)
    try:
        if not ready(process):
            raise SystemExit((folder.parent / "serve.log").read_text())
        yield next(pid for pid in process_tree(process.pid) if pid != process.pid)
    finally:
        process.terminate()
        process.wait(60)


def ready(process: Popen[bytes], limit_s: float = 300) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{OPS_PORT}/readyz", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def memory(workdir: Path, size: int) -> tuple[float, float]:
    """MiB of the worker: with its first configuration, and after one in which every consumer changed."""
    folder = workdir / f"served-{size}"
    write(folder, size)
    with serving(folder, workdir / "state") as worker:
        first = cpu_and_rss(worker)[1]
        write(folder, size, "basic")
        request = urllib.request.Request(f"http://127.0.0.1:{OPS_PORT}/reload", method="POST")
        urllib.request.urlopen(request, timeout=600).close()
        return first, cpu_and_rss(worker)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lines = [
        f"{'consumers':>10}{'client':>9}{'key':>9}{'cert':>9}{'API key':>9}{'compile_s':>11}{'B_first':>9}{'B_changed':>11}"
    ]
    with tempfile.TemporaryDirectory(prefix="consumers-") as temporary:
        workdir = Path(temporary)
        least = memory(workdir, SIZES[0])
        for size in SIZES:
            folder = workdir / str(size)
            write(folder, size)
            times = []
            for _ in range(arguments.runs):
                started = time.perf_counter()
                plan = compiled(folder)
                times.append(time.perf_counter() - started)
            row = f"{size:>10}" + "".join(f"{one:>9.2f}" for one in look_ups(plan, size))
            row += f"{statistics.median(times):>11.2f}"
            if size > 1_000:  # below, the pages of the process are coarser than what there is to see
                each = [(grown - base) * 2**20 / size for grown, base in zip(memory(workdir, size), least, strict=True)]
                row += f"{each[0]:>9.0f}{each[1]:>11.0f}"
            lines.append(row)
    table = "\n".join(lines)
    print(table)
    if arguments.record:
        record("consumers.txt", table)


if __name__ == "__main__":
    main()
