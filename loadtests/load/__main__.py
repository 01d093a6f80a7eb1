"""`scripts/load`: from its command line to the report and the exit status, which options.py tells of."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

from loadtests.load import preflight, report
from loadtests.load.objectives import ObjectivesError
from loadtests.load.objectives import read as read_objectives
from loadtests.load.options import Options, parsed
from loadtests.load.preflight import PreflightError
from loadtests.load.progress import say
from loadtests.load.run import load, new_run
from loadtests.load.shapes import BREAKPOINT
from loadtests.load.stage import ROOT, Stage, StageError, own_stage
from loadtests.scenarios import SCENARIOS

OWN_TOKENS = 60_000  # for a login storm whose length nobody knows beforehand


def main(argv: Sequence[str] | None = None) -> int:
    options = parsed(argv)
    try:
        objectives = read_objectives(options.objectives, options.scenario)
        with tempfile.TemporaryDirectory(prefix="sluicegate-load-") as name, ExitStack() as started:
            work = Path(name)
            run = new_run(options)
            stage = _stage(options, work, started)
            say("pre-flight checks")
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


def _stage(options: Options, work: Path, started: ExitStack) -> Stage:
    about = SCENARIOS[options.scenario]
    if options.host is not None:
        callers = preflight.read_callers(options.callers) if options.callers else ()
        return Stage(options.host, options.ops, callers)
    say("starting upstreams, Redis and gateway")
    fresh = 0  # tokens that nobody has seen
    if about.fresh_tokens:
        fresh = OWN_TOKENS if options.shape == BREAKPOINT else int(options.level * options.seconds * 1.1) + 1000
    return started.enter_context(own_stage(work, options.workers, fresh, options.share))


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
