"""One run on a stage that stands: load in its shape, what is watched meanwhile, and the verdicts on both."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

from loadtests.load import checks, growth, report
from loadtests.load.drive import Driver, generators, saturated_first
from loadtests.load.objectives import Objective, Verdict, judge
from loadtests.load.options import MOST, Options
from loadtests.load.plan import Plan
from loadtests.load.progress import say
from loadtests.load.recorder import Notes
from loadtests.load.sampler import Cores, Sampler
from loadtests.load.shapes import BREAKPOINT, SHAPES, SOAK, Search
from loadtests.load.stage import Stage, divided
from loadtests.load.unrest import Unrest
from loadtests.machine import measured_on
from loadtests.scenarios import SCENARIOS, About


def new_run(options: Options) -> report.Run:
    host = options.host or "a gateway started for the run"
    unit, now = SCENARIOS[options.scenario].unit, time.time()
    return report.Run(options.scenario, options.shape, host, unit, options.level, now, now, measured_on())


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
    say(f"starting {options.processes} generating processes")
    stage.parts["generators"] = started.enter_context(generators(work, plan, set(cores.others)))
    notes = Notes([work / f"calls-{number}.jsonl" for number in range(options.processes)])
    sampler = Sampler(stage.ops, os.environ.get("LOADTEST_OPS_TOKEN", ""), stage.parts, cores)
    driver = Driver(work, notes, say)
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
                say(
                    f"{step['level']:g} {about.unit}: {'held' if step['held'] else 'broke: ' + '; '.join(step['missed'])}\n"
                )
        else:
            driver.follow(shape, options.level, options.seconds)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once more would cost the report, which takes seconds
        run.interrupted = True
        run.notes.append("Interrupted: what is told here is what was seen until then.")
        say("interrupted; waiting for calls under way, then the report\n")
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
