"""A run as a page to read and as JSON to compare: one folder with report.html, summary.json and machine.txt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from loadtests.load.objectives import Verdict
from loadtests.load.plots import Points, plot
from loadtests.load.recorder import Second, Tally, latency_of, percentile, total
from loadtests.load.sampler import Sample, busy, series

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .7rem;border-bottom:1px solid #d0d7de;text-align:right}
td:first-child,th:first-child,td.text{text-align:left}figure{margin:1.5rem 0}figcaption{font-weight:600}svg{width:100%}
svg text{font-size:11px;fill:#57606a}.grid{stroke:#d8dee4}.legend span{margin-right:1.2rem}.legend i{display:inline-block;width:.8rem;height:.2rem;margin:0 .4rem .25rem 0}
.missed{color:#d1242f;font-weight:600}.held{color:#1a7f37}pre{white-space:pre-wrap}"""


@dataclass
class Run:
    """All that is known of a run when it is over."""

    scenario: str
    shape: str
    host: str
    unit: str
    level: float
    began: float
    ended: float
    machine: str
    levels: list[tuple[float, float]] = field(default_factory=list)
    """(time, level) whenever it changed."""
    seconds: Sequence[Second] = ()
    samples: Sequence[Sample] = ()
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader must know of the run: interrupted, a figure that could not be had, a limit that was found."""
    limit: dict[str, Any] | None = None
    interrupted: bool = False

    @property
    def held(self) -> bool:
        return all(verdict.held for verdict in self.verdicts)


def write(folder: Path, run: Run) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary(run), indent=2) + "\n", encoding="utf-8")
    (folder / "machine.txt").write_text(run.machine + "\n", encoding="utf-8")
    (folder / "report.html").write_text(page(run), encoding="utf-8")


def summary(run: Run) -> dict[str, Any]:
    lasted = max(run.ended - run.began, 1e-9)
    names = sorted({name for second in run.seconds for name in second.calls})
    return {
        "scenario": run.scenario,
        "shape": run.shape,
        "host": run.host,
        "level": run.level,
        "unit": run.unit,
        "began": datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        "seconds": round(lasted, 1),
        "interrupted": run.interrupted,
        "held": run.held,
        "verdicts": [asdict(verdict) for verdict in run.verdicts],
        "calls": {name: _figures(total(run.seconds, [name]), lasted) for name in names},
        "limit": run.limit,
        "notes": run.notes,
        "machine": run.machine,
    }


def _figures(tally: Tally, lasted_s: float) -> dict[str, Any]:
    shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}
    return {
        "calls": tally.calls,
        "per_second": round(tally.calls / lasted_s, 1),
        **{name: round(percentile(tally.latencies, share), 2) for name, share in shares.items()},
        "most_ms": round(latency_of(max(tally.latencies)), 2) if tally.latencies else 0.0,
        "codes": dict(tally.codes.most_common()),
        "failed": dict(tally.failed.most_common()),
        "wrong": dict(tally.wrong.most_common()),
    }


def recorded(told: dict[str, Any]) -> str:
    """A summary as a page of loadtests/results."""
    lines = [
        f"# {told['scenario']}, {told['shape']}",
        "",
        *told["machine"].splitlines(),
        "",
        f"{told['began']}, {told['seconds']:g} s, level {told['level']:g} {told['unit']}: {'every objective held' if told['held'] else 'an objective was missed'}.",
        *told["notes"],
        "",
        "| asked | | seen |",
        "|---|---|---|",
        *(
            f"| {one['asked']} | {'held' if one['held'] else '**missed**'} | {one['seen']} |"
            for one in told["verdicts"]
        ),
        "",
        "| call | calls | p50 ms | p99 ms | p99.9 ms | most ms | codes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in told["calls"].items():
        codes = ", ".join(f"{code}: {count}" for code, count in row["codes"].items())
        figures = " | ".join(f"{row[key]:g}" for key in ("p50_ms", "p99_ms", "p999_ms", "most_ms"))
        lines.append(f"| {name} | {row['calls']} | {figures} | {codes} |")
    if told["limit"] is not None:
        lines += ["", f"| {told['unit']} | | p99 ms | full |", "|---|---|---|---|"]
        for step in told["limit"]["steps"]:
            full = ", ".join(f"{name} {share:.0%}" for name, share in step["full"].items() if share >= 0.1)
            lines.append(f"| {step['level']:g} | {'held' if step['held'] else 'broke'} | {step['p99_ms']:g} | {full} |")
    return "\n".join(lines) + "\n"


def page(run: Run) -> str:
    told = summary(run)
    verdict = "held" if run.held else "missed"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{escape(run.scenario)} {escape(run.shape)}: {verdict}</title><style>{STYLE}</style>",
        f"<h1>{escape(run.scenario)}, {escape(run.shape)}</h1>",
        f"<p>{escape(run.host)}, {told['began']}, {told['seconds']:g} s, level {run.level:g} {escape(run.unit)}: ",
        f"<span class={verdict}>{'every objective held' if run.held else 'an objective was missed'}</span></p>",
        *(f"<p>{escape(note)}</p>" for note in run.notes),
        "<h2>Objectives and checks</h2><table><tr><th>asked</th><th></th><th>seen</th></tr>",
        *(
            f"<tr><td>{escape(one.asked)}</td><td class={'held' if one.held else 'missed'}>{'held' if one.held else 'missed'}</td>"
            f"<td class=text>{escape(one.seen)}</td></tr>"
            for one in run.verdicts
        ),
        "</table><h2>Calls</h2>",
        "<p>Milliseconds from the moment at which a call was due, of the calls that went well.</p>",
        "<table><tr><th>call</th><th>calls</th><th>a second</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>most</th><th>codes</th></tr>",
        *(_row(name, figures) for name, figures in told["calls"].items()),
        "</table>",
        *_problems(told["calls"]),
        *_plots(run),
        f"<h2>Machine</h2><pre>{escape(run.machine)}</pre></html>",
    ]
    return "\n".join(parts)


def _row(name: str, figures: dict[str, Any]) -> str:
    codes = ", ".join(f"{code}: {count}" for code, count in figures["codes"].items())
    cells = [f"{figures['calls']}", f"{figures['per_second']:g}"]
    cells += [f"{figures[key]:g}" for key in ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "most_ms")]
    return f"<tr><td>{escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}<td class=text>{escape(codes)}</td></tr>"


def _problems(calls: dict[str, Any]) -> list[str]:
    rows = [
        f"<tr><td>{escape(name)}</td><td class=text>{escape(what)}</td><td>{count}</td></tr>"
        for name, figures in calls.items()
        for kind in ("wrong", "failed")
        for what, count in figures[kind].items()
    ]
    return (
        ["<h2>What went wrong</h2><table><tr><th>call</th><th>what</th><th>times</th></tr>", *rows, "</table>"]
        if rows
        else []
    )


def _plots(run: Run) -> list[str]:
    def since(points: Points) -> list[tuple[float, float]]:
        return [(max(0.0, at - run.began), value) for at, value in points]

    whole = [(second.at, total([second])) for second in run.seconds]
    made = {"answered": since([(at, float(tally.calls)) for at, tally in whole])}
    if run.unit == "calls/s":
        made["asked for"] = since(_stairs(run.levels, run.ended))
    latencies = {
        name: since([(at, percentile(tally.latencies, share)) for at, tally in whole if tally.latencies])
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))
    }
    refusals: Counter[str] = Counter()
    for _, tally in whole:
        refusals.update({code: count for code, count in tally.codes.items() if not code.startswith(("1", "2", "3"))})
    errors = {
        "no answer" if code == "none" else code: since([(at, float(tally.codes[code])) for at, tally in whole])
        for code, _ in refusals.most_common(8)
    }
    cores = {
        name: since([(at, 100 * value) for at, value in busy(run.samples, f"{key} cpu s")])
        for name, key in (
            ("gateway", "gateway"),
            ("upstreams", "upstreams"),
            ("Redis", "redis"),
            ("load generator", "generators"),
        )
    }
    memory = {
        "gateway, all workers": since([(at, value / 2**20) for at, value in series(run.samples, "gateway bytes")])
    }
    calls = {name: since(list(series(run.samples, name))) for name in ("in flight", "waiting for a connection")}
    return [
        "<h2>Over time</h2>",
        plot("Throughput", "calls a second", made),
        plot("Latency", "ms, logarithmic", latencies, logarithmic=True),
        plot("Errors and refusals by code", "a second", errors),
        plot("Processor", "% of a core", cores),
        plot("Memory", "MiB resident", memory),
        plot("Calls in the gateway", "at a time", calls),
    ]


def _stairs(levels: Sequence[tuple[float, float]], ended: float) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for at, level in levels:
        if points:
            points.append((at, points[-1][1]))
        points.append((at, level))
    return [*points, (ended, points[-1][1])] if points else []
