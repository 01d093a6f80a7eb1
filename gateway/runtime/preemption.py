"""Whether a server's threads push the event loop off a core that they share. Linux only: elsewhere nothing is changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_KNOWN = sys.platform == "linux"


@contextmanager
def threads_that_wait_their_turn() -> Iterator[None]:
    """Threads begun in here do not push the event loop off its core whenever there is something for them.

    sched(7), SCHED_BATCH: a thread inherits the policy, and does not preempt when it wakes. Where Granian's threads share
    a core with the event loop, they then take the answers of a whole turn at once, instead of being switched to for each:
    10 to 20 % of a request.
    """
    usual = _KNOWN and os.sched_getscheduler(0) == os.SCHED_OTHER
    if usual:
        _set(0, os.SCHED_BATCH)
    try:
        yield
    finally:
        if usual:
            _set(0, os.SCHED_OTHER)


@contextmanager
def preempting(pids: Iterable[int]) -> Iterator[None]:
    """Meanwhile such threads of these processes, which are this user's, preempt all the same.

    Beside something that computes without a pause on the same core they would wait for the end of its time slice.
    """
    threads = [thread for pid in pids for thread in _waiting_threads(pid)] if _KNOWN else []
    for thread in threads:
        _set(thread, os.SCHED_OTHER)
    try:
        yield
    finally:
        for thread in threads:
            _set(thread, os.SCHED_BATCH)


def _waiting_threads(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            if os.sched_getscheduler(int(task.name)) == os.SCHED_BATCH:
                yield int(task.name)


def _set(thread: int, policy: int) -> None:
    with suppress(OSError):  # it has ended, or a sandbox keeps its policy as it is
        os.sched_setscheduler(thread, policy, os.sched_param(0))
