"""The tutorial is followed to the letter: its files are written, its package is built and installed, its commands are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.steps import ROOT, blocks

STEPS = blocks("docs/write-a-policy.md")
FILES = [block for block in STEPS if block.language != "sh"]
COMMANDS = [command for block in STEPS if block.language == "sh" for command, _ in block.commands()]
BOUND_S = 120.0

ONE_CALL = """
import asyncio, sys, urllib.request
from pathlib import Path
from gateway.compile import compile_configuration
from gateway.compile.registry import installed
from gateway.runtime.data_plane import WorkerPlane
from gateway.runtime.inprocess import Gateway

def ask(url):
    try:
        return urllib.request.urlopen(url).read().decode()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()

async def main():
    plan = compile_configuration(Path("config")).plan
    async with Gateway(plan, WorkerPlane(installed()), ports=[0]) as gateway:
        print(await asyncio.to_thread(ask, gateway.urls[0] + "/desk"))

asyncio.run(main())
"""


def test_it_is_short() -> None:
    assert len(FILES) == 7
    assert sum(1 for block in FILES for line in block.text.splitlines() if line.strip()) <= 80


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Installing needs no network and leaves this environment as it is: pip takes its options from here."""
    target = tmp_path_factory.mktemp("installed")
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(target),
        "PYTHONPATH": f"{target}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_TARGET": str(target),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads the option's name backwards: 0 is "no isolation"
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.fixture(scope="module")
def outputs(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("opening-hours")
    for block in FILES:
        block.write(folder)

    def run(*words: str) -> str:
        done = subprocess.run(
            words, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=BOUND_S
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    ran = {line: run(*shlex.split(line)) for line in COMMANDS}
    return {**ran, "one call": run(sys.executable, "-c", ONE_CALL)}


def test_every_command_works(outputs: dict[str, str]) -> None:
    assert list(outputs)[:-1] == COMMANDS
    assert "1 passed" in outputs["python -m pytest tests"]
    assert re.search(r"guard +opening_hours .*gateway\.yaml:7:", outputs["sluicegate explain GET /desk"])


def test_the_gateway_serves_it(outputs: dict[str, str]) -> None:
    assert '"open":true' in outputs["one call"] or "opening_hours.closed" in outputs["one call"]
