"""An environment that holds what the wheel asks for and nothing else: what only tests need is not there. Needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
BOUND_S = 120.0


def run(*words: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(words, cwd=cwd, check=False, capture_output=True, text=True, timeout=BOUND_S)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def build(folder: Path) -> Path:
    """The wheel, made as pip makes it."""
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "-w",
        folder,
        ROOT,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(wheel: Path) -> dict[str, Distribution]:
    """What an installation of the wheel brings along, by name."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        head = archive.read(metadata).decode("utf-8").partition("\n\n")[0]
    waiting = [(Requirement(line), "") for line in re.findall(r"^Requires-Dist: (.+)$", head, re.MULTILINE)]
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        owner = distribution(requirement.name)
        name = found.setdefault(normal(requirement.name), owner).name
        for wanted in {"", *requirement.extras} - {each for of, each in seen if of == name}:
            seen.add((name, wanted))
            waiting += [(Requirement(line), wanted) for line in owner.requires or ()]
    return found


def make(folder: Path, wheel: Path) -> Path:
    """A virtual environment with the wheel installed, and links to what it needs. Returns its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for owner in needed(wheel).values():
        for top in {file.parts[0] for file in owner.files or () if file.parts[0] != ".."} - {"__pycache__"}:
            if not (packages / top).exists():  # one folder may be of several, as `google` is
                (packages / top).symlink_to(Path(str(owner.locate_file(top))))
    python = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    return python
