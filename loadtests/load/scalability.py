"""The Universal Scalability Law (N. Gunther): throughput of N processes from what few of them do. Knows no gateway.

    X(N) = r N / (1 + s (N - 1) + k N (N - 1))

r is what one does, s the share that only one can do at a time (contention), k what each pair costs (coherence).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PLAN_AT_MOST = 1000


@dataclass(frozen=True)
class Law:
    rate: float
    contention: float
    coherence: float

    def throughput(self, processes: float) -> float:
        return (
            self.rate * processes
            / (1 + self.contention * (processes - 1) + self.coherence * processes * (processes - 1))
        )  # fmt: skip

    @property
    def knee(self) -> float:
        """Processes beyond which more of them do less; infinite where pairs cost nothing."""
        return math.sqrt((1 - self.contention) / self.coherence) if self.coherence > 0 else math.inf

    def processes_for(self, wanted: float) -> int | None:
        """The fewest that do `wanted`; None when no number of them does."""
        for processes in range(1, min(PLAN_AT_MOST, math.ceil(min(self.knee, PLAN_AT_MOST))) + 1):
            if self.throughput(processes) >= wanted:
                return processes
        return None


def fit(measured: Mapping[int, float]) -> Law:
    """By least squares of N/X = a + b (N - 1) + c N (N - 1), with b and c not below zero. Needs three sizes, 1 among them or not."""
    if len(measured) < 3 or any(throughput <= 0 for throughput in measured.values()):
        raise ValueError("a fit needs the throughput of at least three different numbers of processes")
    rows = [((1.0, n - 1.0, n * (n - 1.0)), n / throughput) for n, throughput in measured.items()]
    best: tuple[float, tuple[float, ...]] | None = None
    # Of all choices of terms the one that fits best and has no negative term: non-negative least squares of three terms.
    for terms in ((0,), (0, 1), (0, 2), (0, 1, 2)):
        solved = _least_squares([[row[term] for term in terms] for row, _ in rows], [value for _, value in rows])
        if solved is None or solved[0] <= 0 or any(one < 0 for one in solved):
            continue
        whole = [0.0, 0.0, 0.0]
        for term, one in zip(terms, solved, strict=True):
            whole[term] = one
        error = sum((sum(a * b for a, b in zip(row, whole, strict=True)) - value) ** 2 for row, value in rows)
        if best is None or error < best[0]:
            best = error, tuple(whole)
    assert best is not None, "the constant term alone is the mean of positive values"
    a, b, c = best[1]
    return Law(1 / a, b / a, c / a)


def fits(rounds: Mapping[int, Sequence[float]]) -> list[Law]:
    """A fit for each choice of one run of each size: their spread is how sure a prediction is."""
    sizes = list(rounds)
    return [
        fit(dict(zip(sizes, chosen, strict=True))) for chosen in itertools.product(*(rounds[size] for size in sizes))
    ]


def _least_squares(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float] | None:
    """The normal equations, by elimination; None when they have no one solution."""
    size = len(rows[0])
    system = [
        [
            *(sum(row[i] * row[j] for row in rows) for j in range(size)),
            sum(row[i] * value for row, value in zip(rows, values, strict=True)),
        ]
        for i in range(size)
    ]
    for i in range(size):
        pivot = max(range(i, size), key=lambda k: abs(system[k][i]))
        if abs(system[pivot][i]) < 1e-15:
            return None
        system[i], system[pivot] = system[pivot], system[i]
        for k in range(size):
            if k != i:
                factor = system[k][i] / system[i][i]
                system[k] = [a - factor * b for a, b in zip(system[k], system[i], strict=True)]
    return [system[i][size] / system[i][i] for i in range(size)]
