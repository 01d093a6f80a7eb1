"""Reports as Prometheus text, through prometheus-client's Collector interface. Runs on the ops plane only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.telemetry.metrics import BOUNDS, Report

# prometheus.io/docs/instrumenting/content_negotiation: every scraper takes 0.0.4; 1.0.0 is for those that ask for it,
# and differs by names beyond ASCII only, of which there are none
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(report: Report) -> bytes:
    """The text of `GET /metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ReportCollector(report))
    return generate_latest(registry)


class _ReportCollector(Collector):
    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        for name, family in sorted(self._report.families.items()):
            values = self._report.values[name]
            if family.kind == "histogram":
                histogram = HistogramMetricFamily(name, family.help, labels=family.labels)
                for labels, value in values.items():
                    assert isinstance(value, tuple), "a histogram reports its buckets"
                    histogram.add_metric(labels, list(_cumulative(value[0])), value[1])
                yield histogram
                continue
            made = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = made(name, family.help, labels=family.labels)
            for labels, value in values.items():
                assert isinstance(value, int | float), "counters and gauges report numbers"
                metric.add_metric(labels, value)
            yield metric


def _cumulative(counts: list[int]) -> Iterator[tuple[str, float]]:
    total = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        total += count
        yield bound, total
