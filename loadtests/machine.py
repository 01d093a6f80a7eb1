"""Keeps tables of figures, and says what they were measured on: hardware, versions of what matters, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def record(name: str, table: str) -> None:
    """Keep a table among the results, below what it was measured on."""
    (RESULTS / name).write_text(f"{measured_on()}\n\n{table}\n")


def measured_on() -> str:
    """What stands above every recorded table."""
    return f"{machine()}\ncommit {commit()}"


def machine() -> str:
    """Two lines: the hardware, and the versions of what matters. Python's names its build: how it was compiled counts."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = next(
        line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in ("granian", "uvicorn", "uvloop", "joserfc"))
    return (
        f"{cpu}, {os.cpu_count()} cores, {int(memory) // 2**20} GiB, {platform.system()} {platform.release()}\n"
        f"Python {' '.join(sys.version.split())}, {libraries}"
    )


def commit() -> str:
    """The commit of the code, with a + when there are changes beside it."""
    folder = Path(__file__).parent
    name = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True
    ).stdout.strip()
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], cwd=folder, capture_output=True, text=True
    ).stdout.strip()
    return name + ("+" if changed else "")
