"""The runbook has a section for each metric that can alert, each says what to do, and every metric it names exists."""

from __future__ import annotations

import re

from tests.unit.docs.steps import ROOT
from tests.unit.docs.test_docs import families

PAGE = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
SECTIONS = {
    title: text
    for title, _, text in (part.partition("\n") for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:])
}
ALERTS = re.findall(r"^```promql\n(.*?)^```", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE | re.DOTALL)
TROUBLE = re.compile(r"degraded|dropped|error|failed|lost|ejections|switches|replaced|warnings|waiting|last_reload_ok")
NAME = re.compile(r"sluicegate_\w+")


def known(name: str) -> str:
    """The family of a series: histograms have several."""
    return re.sub(r"_(bucket|sum|count)$", "", name)


def test_each_section_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    assert len(SECTIONS) > 15
    for title, text in SECTIONS.items():
        assert re.findall(r"^\*\*(.*?)\.\*\*", text, re.MULTILINE) == ["Means", "Look at", "Do"], title


def test_what_can_alert_is_there() -> None:
    (alerts,) = ALERTS
    named = {known(name) for name in NAME.findall(alerts)} | {name for name in families() if TROUBLE.search(name)}
    sections = {name for title, text in SECTIONS.items() for name in NAME.findall(title + text)}
    assert len(named) > 12
    assert named - sections == set()


def test_alerts_and_the_runbook_name_metrics_that_exist() -> None:
    named = {known(name) for text in (*ALERTS, PAGE) for name in NAME.findall(re.sub(r"\]\([^)]*\)", "", text))}
    assert named - set(families()) == set()


def anchor(title: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_table_leads_to_sections() -> None:
    anchors = {anchor(title) for title in SECTIONS}
    led_to = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(led_to) > 6
    assert set(led_to) - anchors == set()
