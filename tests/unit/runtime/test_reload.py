"""What becomes of an attempt to reload, with the compiler and the workers played."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.api.settings.document import Settings
from gateway.compile.finding import Finding
from gateway.compile.plan import Plan
from gateway.runtime.reload import Abandoned, Applied, CannotApplyError, Rejected, Reloader


@dataclass
class Written:
    """A compiled configuration."""

    version: str | None
    findings: list[Finding] = field(default_factory=list)
    files: tuple[Path, ...] = (Path("gateway.yaml"),)

    @property
    def plan(self) -> Plan | None:
        return (self.version and Plan(self.version, Settings(version=1), {}, {}, {}, {}, ())) or None

    def document(self) -> dict[str, object]:
        return {"written": self.version}


ERROR = Finding("gateway.yaml", 3, 1, "error", "brust", "unknown field")
WARNING = Finding("gateway.yaml", 4, 1, "warning", "upstreams.x", "not used")


@dataclass
class Stage:
    """A reloader between a configuration to be written and workers that may refuse."""

    written: Written
    applied: list[str] = field(default_factory=list)
    refuse: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.reloader = Reloader(lambda: self.written, self._apply)

    async def _apply(self, old: Plan | None, new: Plan) -> None:
        self.refuse()
        self.applied.append(f"{old.version if old else None} > {new.version}")


def test_applied_then_rejected_then_abandoned_then_applied(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sluicegate.supervisor")

    async def play() -> None:
        stage = Stage(Written("v1", [WARNING]))
        reloader = stage.reloader
        assert isinstance(await reloader.reload(), Applied)
        assert (reloader.findings, reloader.document()) == ([WARNING], {"written": "v1"})
        assert "gateway.yaml:4:1: warning" in caplog.text

        stage.written = Written(None, [ERROR], (Path("gateway.yaml"), Path("routes/new.yaml")))
        rejected = await reloader.reload()
        assert isinstance(rejected, Rejected)
        assert rejected.findings == [ERROR]
        assert reloader.plan is not None
        assert reloader.plan.version == "v1"
        assert Path("routes/new.yaml") in reloader.files, "the broken file is watched, so that mending it reloads"
        assert "version v1 is served on" in caplog.text

        def refuse() -> None:
            raise CannotApplyError("a worker could not")

        stage.written, stage.refuse = Written("v2"), refuse
        abandoned = await reloader.reload()
        assert isinstance(abandoned, Abandoned)
        assert reloader.last is abandoned
        assert reloader.document() == {"written": "v1"}

        stage.refuse = lambda: None
        await reloader.reload()
        assert stage.applied == ["None > v1", "v1 > v2"]

    asyncio.run(play())


def test_a_bug_changes_nothing_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage = Stage(Written("v1"))
        await stage.reloader.reload()

        def bug() -> None:
            raise KeyError("oops")

        stage.written, stage.refuse = Written("v2"), bug
        outcome = await stage.reloader.reload()
        assert isinstance(outcome, Abandoned)
        assert "KeyError" in outcome.reason
        assert stage.reloader.plan is not None
        assert stage.reloader.plan.version == "v1"

    asyncio.run(play())


def test_warnings_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        stage = Stage(Written("v1", [WARNING]))
        await stage.reloader.reload()
        await stage.reloader.reload()

    asyncio.run(play())
    assert caplog.text.count("not used") == 1


def test_each_attempt_has_its_meanwhile() -> None:
    journal: list[str] = []

    @contextmanager
    def meanwhile() -> Iterator[None]:
        journal.append("begins")
        yield
        journal.append("ends")

    def compile_() -> Written:
        journal.append("compiles")
        return Written("v1")

    async def apply(old: Plan | None, new: Plan) -> None:
        journal.append("applies")

    async def play() -> None:
        await Reloader(compile_, apply, meanwhile).reload()

    asyncio.run(play())
    assert journal == ["begins", "compiles", "applies", "ends"]
