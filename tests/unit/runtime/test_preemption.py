"""Threads wait their turn, but not beside a compiler (sched(7))."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from gateway.runtime.preemption import preempting, threads_that_wait_their_turn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="scheduling policies are Linux's")


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits its turn."""
    with threads_that_wait_their_turn(), subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_only_threads_begun_inside_wait_their_turn() -> None:
    ended = threading.Event()
    with threads_that_wait_their_turn():
        inside = threading.Thread(target=ended.wait)
        inside.start()
    outside = threading.Thread(target=ended.wait)
    outside.start()
    try:
        assert inside.native_id is not None
        assert outside.native_id is not None
        assert os.sched_getscheduler(inside.native_id) == os.SCHED_BATCH
        assert os.sched_getscheduler(outside.native_id) == os.SCHED_OTHER
        with preempting([os.getpid()]):
            assert os.sched_getscheduler(inside.native_id) == os.SCHED_OTHER
        assert os.sched_getscheduler(inside.native_id) == os.SCHED_BATCH
        assert os.sched_getscheduler(outside.native_id) == os.SCHED_OTHER
    finally:
        ended.set()


def test_those_of_other_processes_preempt_for_a_while(waiting: subprocess.Popen[bytes]) -> None:
    assert os.sched_getscheduler(waiting.pid) == os.SCHED_BATCH
    with preempting([waiting.pid]):
        assert os.sched_getscheduler(waiting.pid) == os.SCHED_OTHER
    assert os.sched_getscheduler(waiting.pid) == os.SCHED_BATCH


def test_a_process_that_ends_meanwhile_or_has_ended_is_nothing_to_mind(waiting: subprocess.Popen[bytes]) -> None:
    with preempting([waiting.pid]):
        waiting.kill()
        waiting.wait()
    with preempting([waiting.pid]):
        pass
