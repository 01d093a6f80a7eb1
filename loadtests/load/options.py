"""What `scripts/load` was asked for: its command line, read and checked before anything is started."""

from __future__ import annotations

import argparse
import difflib
import math
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import httpx

from loadtests.load.shapes import BREAKPOINT, SHAPES, SOAK
from loadtests.load.stage import ROOT
from loadtests.scenarios import SCENARIOS

ABOUT = """One scenario in one shape, against a host or against a stage of its own, and a report.

Ends with 0 when every objective and check held, 1 when one was missed, 2 when no load was sent, 130 after ctrl-C (the report is written).
"""
MOST = 20  # `breakpoint` ends at so many times the level


class Options(argparse.Namespace):
    scenario: str
    shape: str
    host: str | None
    callers: Path | None
    ops: str
    level: float
    seconds: float
    connections: int
    processes: int
    workers: int
    share: int
    objectives: Path
    out: Path
    record: bool


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"scripts/load: {message}; scripts/load --help tells all\n")


def one_of(what: str, known: Sequence[str]):  # type: ignore[no-untyped-def]  # a type for argparse
    def chosen(written: str) -> str:
        if written in known:
            return written
        near = difflib.get_close_matches(written, known, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise argparse.ArgumentTypeError(f"there is no {what} '{written}'{hint}; there are: {', '.join(known)}")

    return chosen


def above_zero(written: str) -> float:
    value = float(written)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def count(written: str) -> int:
    value = int(written)
    if value < 1:
        raise ValueError
    return value


def percent(written: str) -> int:
    value = int(written)
    if not 1 <= value <= 100:
        raise ValueError
    return value


def parsed(argv: Sequence[str] | None) -> Options:
    listed = "\n".join(
        [
            "scenarios:",
            *(f"  {name:<17}{about.summary} ({about.level:g} {about.unit})" for name, about in SCENARIOS.items()),
            "shapes:",
            *(f"  {name:<17}{shape.summary} ({shape.seconds:g} s)" for name, shape in SHAPES.items()),
        ]
    )
    parser = Parser(
        prog="scripts/load", description=ABOUT, epilog=listed, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("scenario", type=one_of("scenario", list(SCENARIOS)))
    add("shape", type=one_of("shape", list(SHAPES)))
    add("--host", metavar="URL", help="the gateway to load; left out, one is started with all it needs")
    add("--callers", type=Path, metavar="FILE", help="who calls, with tokens; needed with --host")
    add(
        "--ops",
        default="",
        metavar="URL",
        help="its operations port, for processor and memory; LOADTEST_OPS_TOKEN is its token",
    )
    add("--level", type=above_zero, metavar="N", help="calls a second, or connections to hold; where breakpoint begins")
    add("--seconds", type=above_zero, metavar="N", help="of the run; of each step of breakpoint")
    add("--connections", type=count, default=64, metavar="N", help="that the callers have open at most; default 64")
    add("--processes", type=count, default=max(1, (os.cpu_count() or 2) // 2), metavar="N", help="that generate load")
    add("--workers", type=count, default=1, metavar="N", help="of the gateway that is started; default 1")
    add(
        "--share",
        type=percent,
        default=100,
        metavar="N",
        help="percent of a core that each worker may use, by cpulimit",
    )
    add("--objectives", type=Path, default=ROOT / "loadtests" / "objectives.yaml", metavar="FILE")
    add("--out", type=Path, metavar="FOLDER", help="of the report; default loadtests/runs/SCENARIO-SHAPE-TIME")
    add(
        "--record",
        action="store_true",
        help="keep a summary in loadtests/results/load-SCENARIO-SHAPE.md; only of a gateway that is started here",
    )
    options = parser.parse_args(argv, Options())
    about = SCENARIOS[options.scenario]
    if options.host is not None:
        _require_url(parser, "--host", options.host)
    if options.ops:
        _require_url(parser, "--ops", options.ops)
    if options.callers is not None and options.host is None:
        parser.error("--callers needs --host: a gateway that is started here has callers of its own")
    if options.record and options.host is not None:
        parser.error("--record is for a gateway that is started here: its figures are this machine's")
    if options.shape == SOAK and options.host is not None and not options.ops:
        parser.error("soak needs --ops with --host: it reloads the gateway and watches what grows")
    if options.share < 100 and shutil.which("cpulimit") is None:
        parser.error("--share needs cpulimit, of Debian: apt-get install cpulimit")
    options.host = options.host.rstrip("/") if options.host else None
    options.ops = options.ops.rstrip("/")
    options.level = options.level or about.level
    options.seconds = options.seconds or SHAPES[options.shape].seconds
    if about.holds:
        options.connections = math.ceil(options.level * (MOST if options.shape == BREAKPOINT else 1))
    options.processes = min(options.processes, options.connections)
    options.out = (
        options.out
        or ROOT / "loadtests" / "runs" / f"{options.scenario}-{options.shape}-{time.strftime('%Y%m%d-%H%M%S')}"
    )
    return options


def _require_url(parser: Parser, option: str, written: str) -> None:
    try:
        at = httpx.URL(written)
    except httpx.InvalidURL as problem:
        parser.error(f"{option} {written}: {problem}")
    if at.scheme not in ("http", "https") or not at.host:
        parser.error(f"{option} {written}: begins with http:// or https:// and names a host")
