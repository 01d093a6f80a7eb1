"""`scripts/load`: one scenario in one shape, against a host or against a stage of its own, and a report.

Ends with 0 when every objective and check held, 1 when one was missed, 2 when no load was sent, 130 after ctrl-C (the report is written).
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

import httpx

from loadtests.load import checks, growth, preflight, report
from loadtests.load.drive import Driver, generators, saturated_first
from loadtests.load.objectives import Objective, ObjectivesError, Verdict, judge
from loadtests.load.objectives import read as read_objectives
from loadtests.load.plan import Plan
from loadtests.load.preflight import PreflightError
from loadtests.load.recorder import Notes
from loadtests.load.sampler import Cores, Sampler
from loadtests.load.shapes import BREAKPOINT, SHAPES, SOAK, Search
from loadtests.load.stage import ROOT, Stage, StageError, divided, own_stage
from loadtests.load.unrest import Unrest
from loadtests.machine import measured_on
from loadtests.scenarios import SCENARIOS, About

MOST = 20  # `breakpoint` ends at so many times the level
OWN_TOKENS = 60_000  # for a login storm whose length nobody knows beforehand


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
        prog="scripts/load", description=__doc__, epilog=listed, formatter_class=argparse.RawDescriptionHelpFormatter
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


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    try:
        objectives = read_objectives(options.objectives, options.scenario)
        with tempfile.TemporaryDirectory(prefix="sluicegate-load-") as name, ExitStack() as started:
            work = Path(name)
            run = new_run(options)
            stage = _stage(options, work, started)
            _say("pre-flight checks")
            preflight.check(stage.host, stage.callers, SCENARIOS[options.scenario], stage.fresh_tokens)
            load(options, work, stage, objectives, run, started)
            report.write(options.out, run)
    except (ObjectivesError, StageError, PreflightError) as problem:
        print(f"\nscripts/load: {problem}\nscripts/load: no load was sent", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nscripts/load: ended before any load was sent", file=sys.stderr)
        return 130
    print(file=sys.stderr)
    for verdict in run.verdicts:
        print(f"{'held  ' if verdict.held else 'MISSED'}  {verdict.asked}: {verdict.seen}")
    for note in run.notes:
        print(note)
    print(f"report: {options.out / 'report.html'}")
    if options.record and not run.interrupted:
        kept = ROOT / "loadtests" / "results" / f"load-{options.scenario}-{options.shape}.md"
        kept.write_text(report.recorded(report.summary(run)), encoding="utf-8")
        print(f"recorded: {kept}")
    if run.interrupted:
        return 130
    return 0 if run.held else 1


def new_run(options: Options) -> report.Run:
    host = options.host or "a gateway started for the run"
    unit, now = SCENARIOS[options.scenario].unit, time.time()
    return report.Run(options.scenario, options.shape, host, unit, options.level, now, now, measured_on())


def _stage(options: Options, work: Path, started: ExitStack) -> Stage:
    about = SCENARIOS[options.scenario]
    if options.host is not None:
        callers = preflight.read_callers(options.callers) if options.callers else ()
        return Stage(options.host, options.ops, callers)
    _say("starting upstreams, Redis and gateway")
    fresh = 0  # tokens that nobody has seen
    if about.fresh_tokens:
        fresh = OWN_TOKENS if options.shape == BREAKPOINT else int(options.level * options.seconds * 1.1) + 1000
    return started.enter_context(own_stage(work, options.workers, fresh, options.share))


def _cores(options: Options) -> Cores:
    if options.host is not None:
        return Cores(others=frozenset(os.sched_getaffinity(0)))
    gateway, others = divided(options.workers, options.share)
    return Cores(frozenset(gateway), frozenset(others), options.workers * options.share / 100)


def load(
    options: Options, work: Path, stage: Stage, objectives: Sequence[Objective], run: report.Run, started: ExitStack
) -> None:
    """Fills `run`. From the first call on ctrl-C ends the load, and not the report."""
    about, shape = SCENARIOS[options.scenario], SHAPES[options.shape]
    plan = Plan(options.scenario, stage.host, options.processes, options.connections, stage.callers, stage.fresh_tokens)
    cores = _cores(options)
    _say(f"starting {options.processes} generating processes")
    stage.parts["generators"] = started.enter_context(generators(work, plan, set(cores.others)))
    notes = Notes([work / f"calls-{number}.jsonl" for number in range(options.processes)])
    sampler = Sampler(stage.ops, os.environ.get("LOADTEST_OPS_TOKEN", ""), stage.parts, cores)
    driver = Driver(work, notes, _say)
    unrest = Unrest(stage, sampler.ops_token, options.seconds)
    run.began = time.time()
    sampler.start()
    if options.shape == SOAK:
        unrest.start()
    steps = []
    search = Search(options.level, options.level * MOST)
    try:
        if options.shape == BREAKPOINT:
            for step in driver.find_limit(search, options.seconds, objectives, sampler):
                steps.append(step)
                _say(
                    f"{step['level']:g} {about.unit}: {'held' if step['held'] else 'broke: ' + '; '.join(step['missed'])}\n"
                )
        else:
            driver.follow(shape, options.level, options.seconds)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once more would cost the report, which takes seconds
        run.interrupted = True
        run.notes.append("Interrupted: what is told here is what was seen until then.")
        _say("interrupted; waiting for calls under way, then the report\n")
    run.ended = time.time()
    if options.shape == SOAK:
        unrest.stop()
    driver.quiet()
    sampler.stop()
    notes.poll()
    run.levels, run.samples, run.seconds = driver.levels, sampler.samples, notes.seconds()
    if sampler.failures or not stage.ops:
        run.notes.append(
            f"/metrics could not be read {sampler.failures} times."
            if stage.ops
            else "No --ops: the gateway's processor and memory were not seen."
        )
    if options.shape == BREAKPOINT:
        _tell_limit(run, search, steps, about)
    else:
        run.verdicts += judge(objectives, run.seconds)
    if options.shape == SOAK:
        run.verdicts += [growth.nothing_lost(run.seconds), *unrest.verdicts()]
        run.verdicts += growth.verdicts(run.samples, run.began, run.ended)
    run.verdicts += _checks(about, work, stage, run)


def _tell_limit(run: report.Run, search: Search, steps: list[dict[str, object]], about: About) -> None:
    """A search has no objective to miss but one: some level must have held."""
    found = search.broken is not None
    first = saturated_first(steps) if found else ""
    run.limit = {
        "held": round(search.held, 1),
        "broken": search.broken,
        "unit": about.unit,
        "saturated_first": first,
        "steps": steps,
    }
    if search.held == 0.0:
        run.verdicts.append(
            Verdict("some level holds every objective", False, f"not even {search.broken or run.level:g} {about.unit}")
        )
    if found:
        run.notes.append(
            f"The limit is {search.held:.0f} {about.unit}: {search.broken:.0f} broke an objective. Saturated first: {first}."
        )
    else:
        run.notes.append(f"No limit was found: {search.held:.0f} {about.unit} held, and nothing more was tried.")


def _checks(about: About, work: Path, stage: Stage, run: report.Run) -> list[Verdict]:
    verdicts = [checks.right_answers(run.seconds)]
    if stage.ledger and not stage.redis:
        run.notes.append("There is no redis-server here: the gateway kept everything in memory.")
    if "create" in about.asks:
        if stage.ledger:
            try:
                executed = httpx.get(stage.ledger, timeout=30.0).json()
            except (httpx.HTTPError, ValueError) as problem:
                verdicts.append(Verdict(checks.ONCE, False, f"the upstream cannot be asked: {type(problem).__name__}"))
            else:
                verdicts.append(checks.executed_once(work.glob("created-*.txt"), executed))
        else:
            run.notes.append(
                "Whether orders were executed once was not counted: the upstream behind --host is not asked."
            )
    changes = list(zip(run.levels, [*run.levels[1:], (run.ended, 0.0)], strict=True))
    if not about.holds:
        asked = sum(level * max(0.0, until - at) for (at, level), (until, _) in changes)
        verdicts.append(checks.load_sent(asked, run.seconds))
    if about.noisy:
        lasted = sum(max(0.0, until - at) for (at, level), (until, _) in changes if level > 0)
        starts = sum(
            1 for (_, one), (_, other) in zip([(0.0, 0.0), *run.levels], run.levels, strict=False) if one == 0 < other
        )
        noisy = next(caller for caller in stage.callers if caller.noisy)
        verdicts.append(checks.limit_held(noisy, run.seconds, lasted, starts))
    return verdicts


def _say(text: str) -> None:
    """Progress: one line that is written over on a terminal, lines elsewhere only when they end."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text.endswith("\n"):
        print(text, end="", file=sys.stderr, flush=True)


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
