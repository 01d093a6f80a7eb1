"""The limit of open files is raised as far as it goes, and told where it is too low for the callers who may come."""

import subprocess
import sys

import pytest

from gateway.api.settings.listen import Listen
from gateway.runtime.descriptors import ROOM, raise_limit, too_few


def test_the_soft_limit_becomes_the_hard_one():
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource; from gateway.runtime.descriptors import raise_limit\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))\n"
            "print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["300", "300", "300"]


def test_a_limit_that_is_raised_stays():
    assert raise_limit() == raise_limit()


@pytest.mark.parametrize(("workers", "limit", "told"), [(1, 10_000 + ROOM, False), (1, 10_000, True), (4, 4096, False)])
def test_too_few_files_for_the_callers_are_told(workers, limit, told):
    said = too_few([Listen(port=8080, max_connections=10_000)], workers, limit)
    assert (said is not None) is told
    assert said is None or "LimitNOFILE" in said


def test_no_limit_is_enough():
    assert too_few([Listen(port=8080, max_connections=10**6)], 1, None) is None
