"""Whether one limit holds: admitted calls of many consumers, over processes on one Redis, and while it is killed and restarted.

    python loadtests/limits/hold.py [--processes 1,2,4] [--seconds 30] [--consumers 50] [--outage] [--record]

Each consumer may make 20 calls a second with a burst of 20, and makes 60. Without trouble it must be admitted rate * time + burst,
within +1 % and -2 %. With `--outage` Redis is killed after a third of the time and comes back, empty, at a half: at most
rate * time + 2 bursts and 1.1 times the rate over the whole, no 5xx. It takes about 15 s longer than `seconds` for each line.
"""

from __future__ import annotations

import argparse
import asyncio

from stage import Gateway, Redis, Told, call_at_pace, record

RATE, BURST, OFFERED, CONNECTIONS = 20, 20, 60.0, 4

HEAD = f"{'processes':>9}{'trouble':>9}{'offered':>9}{'admitted of what is due':>34}{'over burst':>12}{'5xx':>5}{'p50 ms':>8}{'p99 ms':>8}"


async def run(processes: int, consumers: int, seconds: float, *, outage: bool) -> tuple[str, bool]:
    """A line of the table, and whether every consumer's limit held."""
    redis = Redis()
    redis.start()
    try:
        async with Gateway(redis.url, workers=processes, consumers=consumers, rate=RATE, burst=BURST) as gateway:
            await asyncio.sleep(2.5)  # every process has heard of the others
            calls = [
                asyncio.ensure_future(call_at_pace(gateway.port, number, OFFERED, seconds, CONNECTIONS))
                for number in range(consumers)
            ]
            if outage:
                await asyncio.sleep(seconds / 3)
                # in threads: the load goes on meanwhile
                await asyncio.to_thread(redis.kill)
                await asyncio.sleep(seconds / 6)
                await asyncio.to_thread(redis.start)
            told = await asyncio.gather(*calls)
    finally:
        redis.kill()
    return line(processes, told, outage=outage)


def line(processes: int, told: list[Told], *, outage: bool) -> tuple[str, bool]:
    admitted = [one.statuses[200] for one in told]
    due = [RATE * one.seconds + BURST for one in told]
    shares = [got / wanted - 1 for got, wanted in zip(admitted, due, strict=True)]
    beyond = max(got - wanted for got, wanted in zip(admitted, due, strict=True)) / BURST
    faults = sum(count for one in told for status, count in one.statuses.items() if status >= 500)
    waits = sorted(wait for one in told for wait in one.waits_s)
    if outage:
        holds = beyond <= 1 and all(
            got <= 1.1 * RATE * one.seconds + BURST for got, one in zip(admitted, told, strict=True)
        )
    else:
        holds = min(shares) >= -0.02 and max(shares) <= 0.01
    calls = sum(sum(one.statuses.values()) for one in told)
    offered = calls / len(told) / max(one.seconds for one in told)
    text = (
        f"{processes:>9}{'outage' if outage else '-':>9}{offered:>7.0f}/s{f'{min(shares):+.1%} to {max(shares):+.1%}':>34}"
        f"{beyond:>12.2f}{faults:>5}{waits[len(waits) // 2] * 1000:>8.1f}{waits[len(waits) * 99 // 100] * 1000:>8.1f}"
    )
    return text, holds and not faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--consumers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--outage", action="store_true")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    rows, all_hold = [HEAD], True
    print(HEAD, flush=True)
    for processes in map(int, arguments.processes.split(",")):
        for outage in (False, True) if arguments.outage else (False,):
            text, holds = asyncio.run(run(processes, arguments.consumers, arguments.seconds, outage=outage))
            rows.append(text if holds else f"{text}  DOES NOT HOLD")
            print(rows[-1], flush=True)
            all_hold = all_hold and holds
    if arguments.record:
        record("limits-hold.txt", "\n".join(rows))
    if not all_hold:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
