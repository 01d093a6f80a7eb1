"""From files to the running configuration, and what became of the last attempt. Knows neither workers nor signals."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from gateway.compile.finding import Finding, has_errors
from gateway.compile.plan import Plan
from gateway.runtime.delta import difference

log = logging.getLogger("sluicegate.supervisor")


class Compiled(Protocol):
    """What the compiler gives."""

    @property
    def plan(self) -> Plan | None: ...
    @property
    def findings(self) -> Sequence[Finding]: ...
    @property
    def files(self) -> Collection[Path]: ...
    def document(self) -> Mapping[str, Any]:
        """As it is written, without its secrets."""
        ...


Compile: TypeAlias = Callable[[], Compiled]


class CannotApplyError(Exception):
    """A configuration without errors that cannot be served; the text is for ops."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Every worker serves it."""

    version: str
    changed: int  # routes, upstreams and consumers
    at: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class Rejected:
    """It has errors; nothing changed."""

    findings: Sequence[Finding]
    at: float


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A worker could not apply it; nothing changed."""

    reason: str
    at: float


Outcome: TypeAlias = Applied | Rejected | Abandoned


class Reloader:
    """Holds the running configuration. One attempt at a time; those that wait find their files already read."""

    def __init__(
        self,
        compile_: Compile,
        apply: Callable[[Plan | None, Plan], Awaitable[None]],
        meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`meanwhile` is entered for each attempt."""
        self._compile = compile_
        self._apply = apply
        self._meanwhile = meanwhile
        self._busy = asyncio.Lock()
        self.running: Compiled | None = None
        self.files: Collection[Path] = ()  # that the last attempt read
        self.applied_at = 0.0
        self.last: Outcome | None = None

    @property
    def plan(self) -> Plan | None:
        return self.running.plan if self.running else None

    @property
    def findings(self) -> Sequence[Finding]:
        """Of the running plan."""
        return self.running.findings if self.running else ()

    def document(self) -> Mapping[str, Any]:
        """The running configuration as it is written, without its secrets. Takes a while when it is large."""
        assert self.running is not None, "a configuration is live"
        return self.running.document()

    async def reload(self) -> Outcome:
        """Compile and apply. Never raises for what is wrong with the configuration."""
        async with self._busy:
            before = self.plan.version if self.plan else None
            outcome: Outcome
            try:
                with self._meanwhile():
                    outcome = await self._attempt()
            except Exception as exc:
                log.exception("a bug kept the configuration from being applied")
                outcome = Abandoned(f"a bug: {type(exc).__name__}: {exc}", time.time())
            self.last = outcome
            self._report(outcome, before)
            return outcome

    async def _attempt(self) -> Outcome:
        compiled = await asyncio.to_thread(self._compile)
        self.files = compiled.files
        now = time.time()
        if compiled.plan is None or has_errors(compiled.findings):
            return Rejected(compiled.findings, now)
        try:
            await self._apply(self.plan, compiled.plan)
        except CannotApplyError as exc:
            return Abandoned(str(exc), now)
        changed = difference(self.plan, compiled.plan).changed()
        self.running, self.applied_at = compiled, now
        return Applied(compiled.plan.version, changed, now)

    def _report(self, outcome: Outcome, before: str | None) -> None:
        match outcome:
            case Applied(version, changed):
                if outcome.version == before:
                    log.debug("configuration %s is served already", version)
                    return
                for finding in self.findings:
                    log.warning("%s", finding)
                log.info("configuration %s is served; %d routes, upstreams or consumers changed", version, changed)
            case Rejected(findings):
                for finding in findings:
                    log.error("%s", finding)
                log.error("the configuration has errors; %s", self._unchanged())
            case Abandoned(reason):
                log.error("the configuration could not be applied: %s; %s", reason, self._unchanged())

    def _unchanged(self) -> str:
        return f"version {self.plan.version} is served on" if self.plan else "nothing is served"
