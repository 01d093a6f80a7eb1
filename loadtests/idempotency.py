"""Idempotency keys, proved and measured: executed twice or not, whatever is killed, stopped, lost or full; and what a key costs.

    python loadtests/idempotency.py kill  [--store sqlite|redis] [--rounds 200] [--whole] [--record]
    python loadtests/idempotency.py race  [--store sqlite|redis] [--record]
    python loadtests/idempotency.py faults [--record]
    python loadtests/idempotency.py cost  [--store sqlite|redis] [--connections 64] [--seconds 2] [--rounds 10] [--record]

`kill`: callers POST with a new key each, and again until they are answered; at a random moment of every round the gateway gets SIGKILL,
and is started again; afterwards every key is asked for once more. The gateway is forked from a process that has everything imported, to
be back at once; with `--whole` it is the real `serve`, supervisor and worker, which takes seconds (40 rounds unless told otherwise).
`race`: 200 callers of one key at once, on one gateway and on three that share a store. `faults`: owners stopped past their lease,
replies lost, a Redis that is killed, paused, out of memory, failed over. `cost`: processor time of the gateway for each POST with a
key, over the same without the policy. Each ends with 1 when the table is not what it must be. Needs Debian's redis-server for `--store
redis`, and wrk and nginx for `cost`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from pathlib import Path

import idempotency_cost
import idempotency_faults
import idempotency_kill
import idempotency_race
from machine import measured_on

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kill", "race", "faults", "cost"])
    parser.add_argument("--store", default="sqlite", help="sqlite, redis (one of our own), or a URL")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--whole", action="store_true", help="kill the real `serve`; each round takes seconds")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idempotency-") as folder:
        match options.what:
            case "kill":
                rounds = options.rounds or (40 if options.whole else 200)
                killed = asyncio.run(idempotency_kill.kill(rounds, Path(folder), options.store, whole=options.whole))
                table, good = idempotency_kill.table(killed), killed.good
            case "race":
                raced = [
                    asyncio.run(idempotency_race.race(gateways, Path(folder) / f"{gateways}-{way}", options.store, way))
                    for gateways in (1, 3)
                    for way in ("reject", "wait")
                ]
                table, good = idempotency_race.table(raced), all(one.good for one in raced)
            case "faults":
                seen = asyncio.run(idempotency_faults.faults(Path(folder)))
                table, good = idempotency_faults.table(seen), all(one.good for one in seen)
            case "cost":
                figures = idempotency_cost.cost(
                    options.connections, options.seconds, options.rounds or 10, Path(folder), options.store
                )
                table, good = idempotency_cost.table(figures, options.store), True
    store = "" if options.what == "faults" else f", store {options.store}"
    text = f"{measured_on()}{store}\n\n{table}\n"
    print(text)
    if options.record:
        what = f"{options.what}-whole" if options.whole else options.what
        of = "" if options.what == "faults" else "-" + re.sub(r"\W+", "-", options.store.partition(":")[0])
        (RESULTS / f"idempotency-{what}{of}.md").write_text(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
