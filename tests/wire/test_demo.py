"""The demo as a new user meets it: started as a process, every printed call pasted into sh, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import pytest

BOUND_S = 60.0  # for the whole demo; a start takes 2 s on an idle machine

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None, reason="the demo's calls need curl, which is not installed"
)


@dataclass
class Running:
    process: subprocess.Popen[str]
    guide: list[str]

    def calls(self) -> list[tuple[str, str]]:
        """What each printed command shows, and the command."""
        pairs = zip(self.guide, self.guide[1:], strict=False)
        return [(shows.strip(" #"), command.strip()) for shows, command in pairs if shows.startswith("  # ")]

    def _place(self, name: str) -> str:
        return next(line.removeprefix(f"  {name}").strip() for line in self.guide if line.startswith(f"  {name} "))

    @property
    def folder(self) -> Path:
        return Path(self._place("folder"))

    @property
    def gateway(self) -> str:
        return self._place("gateway")

    @property
    def ops(self) -> str:
        return self._place("ops port")


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-c", "from gateway.cli import main; main()", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    limit = Timer(BOUND_S, process.kill)
    limit.start()
    try:
        assert process.stdout is not None
        guide = []
        for line in process.stdout:
            guide.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                break
        assert guide, "the demo printed nothing"
        running = Running(process, guide)
        yield running
        folder = running.folder
        assert folder.is_dir()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert not folder.exists(), "the demo leaves nothing behind"
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


def run(command: str) -> str:
    environment = {"PATH": os.environ["PATH"]}  # a shell of a new user, without proxies and without a .curlrc
    done = subprocess.run(
        ["sh", "-c", command], check=False, env=environment, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
def test_every_printed_call_shows_what_it_says(demo: Running, order: int) -> None:
    calls = demo.calls()[::order]
    seen = set()
    for shows, command in calls:
        output = run(command)
        if found := re.match(r"(\d{3}): ", shows):
            statuses = re.findall(r"^HTTP/1.1 (\d{3})", output, re.MULTILINE)
            assert statuses[-1:] == [found[1]], (shows, output)
            seen.add(found[1])
        else:
            assert shows == "the access log" or output.strip(), shows
    assert seen >= {"200", "201", "401", "403", "404", "429"}


def test_a_limited_call_tells_how_to_go_on(demo: Running) -> None:
    output = run(next(command for shows, command in demo.calls() if shows.startswith("429")))
    head = output.lower()
    assert "retry-after: " in head
    assert 'ratelimit-policy: "consumer";q=3;w=18' in head
    assert 'ratelimit: "consumer";r=0;' in head


def test_a_repeated_order_is_one_order(demo: Running) -> None:
    output = run(next(command for shows, command in demo.calls() if "Idempotency-Replayed" in shows))
    first, second = re.findall(r"^location: (\S+)", output.lower(), re.MULTILINE)
    assert first == second
    assert "idempotency-replayed: true" in output.lower().split("http/1.1")[-1]


def test_readiness_shows_the_issuer(demo: Running) -> None:
    run(demo.calls()[0][1])  # a call with a token: the issuer's keys are there
    ready = json.loads(run(f"curl -s {demo.ops}/readyz"))
    assert ready["ready"] is True
    assert ready["issuers"] == {"demo": True}


def test_an_edit_is_served_and_a_mistake_is_told(demo: Running) -> None:
    file = demo.folder / "config" / "gateway.yaml"
    sound = file.read_text()
    version = json.loads(run(f"curl -s {demo.ops}/config"))["version"]
    file.write_text(sound.replace("upstream: orders", "upstream: odrers", 1))
    refused = run(f"curl -si -X POST {demo.ops}/reload")
    assert " 422 " in refused.splitlines()[0]
    assert "did you mean 'orders'?" in refused
    file.write_text(sound.replace("{ok: true}", "{ok: still}"))
    assert " 200 " in run(f"curl -si -X POST {demo.ops}/reload").splitlines()[0]
    assert json.loads(run(f"curl -s {demo.gateway}/status")) == {"ok": "still"}
    file.write_text(sound)
    assert json.loads(run(f"curl -s -X POST {demo.ops}/reload"))["version"] == version


def test_what_is_printed_can_be_pasted(demo: Running) -> None:
    assert len(demo.calls()) >= 12
    for line in demo.guide:
        assert line.isascii()
        assert line == line.rstrip()
