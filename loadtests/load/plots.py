"""Lines over time as inline SVG: no script, no font, no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 240, 64, 12, 12, 28
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a", "#bf3989", "#0a7ea4")


def plot(title: str, unit: str, lines: Mapping[str, Points], *, logarithmic: bool = False) -> str:
    """One figure with its title and legend. Lines without points are left out; x is seconds since the start."""
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return f"<figure><figcaption>{escape(title)}</figcaption><p>Nothing was seen of it.</p></figure>"
    last = max(x for points in lines.values() for x, _ in points) or 1.0
    values = [y for points in lines.values() for _, y in points]
    ticks = _decades(values) if logarithmic else _steps(max(values))
    low, high = ticks[0], ticks[-1]

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / last

    def down(y: float) -> float:
        share = math.log(max(y, low) / low) / math.log(high / low) if logarithmic else y / high
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in ticks:
        y = down(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _steps(last):
        if tick <= last:
            parts.append(f'<text x="{across(tick):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{tick:g} s</text>')
    for colour, points in zip(_colours(len(lines)), lines.values(), strict=True):
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{path}"/>')
    parts.append("</svg>")
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for colour, name in zip(_colours(len(lines)), lines, strict=True)
    )
    return f"<figure><figcaption>{escape(title)} ({escape(unit)})</figcaption>{''.join(parts)}<p class=legend>{legend}</p></figure>"


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def _steps(highest: float) -> list[float]:
    """0 and up to six round numbers, the last at or above `highest`."""
    highest = highest or 1.0
    step = 10 ** math.floor(math.log10(highest))
    for factor in (0.2, 0.5, 1, 2):
        if highest / (step * factor) <= 6:
            step *= factor
            break
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _decades(values: Sequence[float]) -> list[float]:
    """Powers of ten around what is above zero."""
    positive = [value for value in values if value > 0] or [1.0]
    first, last = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]
