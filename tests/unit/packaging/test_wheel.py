"""The wheel as a stranger gets it: installed where nothing else is, run in an empty folder."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.unit.packaging import bare
from tests.unit.packaging.bare import ROOT, run

FIRST = """\
version: 1
upstreams: {orders: {targets: ["http://127.0.0.1:9001"]}}
routes:
  - {name: get-order, match: {path: "/orders/{id}"}, public: true, upstream: orders}
  - name: stock
    match: {method: POST, path: /stock}
    public: true
    upstream: orders
    adapter: {soap: {wsdl: stock.wsdl, operation: GetStock}}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare.make(tmp_path_factory.mktemp("bare"), wheel)


@pytest.fixture
def command(python: Path) -> Path:
    return python.with_name("sluicegate")


def test_every_file_of_the_packages_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = [
        path.relative_to(ROOT).as_posix()
        for package in ("gateway", "policies", "adapters")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {Path(file).suffix for file in files} >= {".py", ".lua", ".yaml", ".wsdl", ".cpy", ".txt", ".typed"}
    assert set(files) - names == set()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        "gateway",
        "policies",
        "adapters",
    }


def test_nothing_else_is_there(python: Path) -> None:
    listed = run(python, "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))").split()
    assert {"sluicegate", "granian", "lxml"} <= set(listed)
    assert {"pytest", "redis", "zeep", "locust", "hatchling"} & set(listed) == set()


def test_the_sbom_lists_what_is_installed_and_nothing_else(wheel: Path, python: Path, tmp_path: Path) -> None:
    """By the command of scripts/sbom, which makes its environment from the package index."""
    script = (ROOT / "scripts/sbom").read_text(encoding="utf-8")
    asked = " ".join(script[script.index(".venv/bin/cyclonedx-py") :].replace("\\\n", "").partition("\n")[0].split())
    asked = asked.replace(".venv/bin/", f"{Path(sys.executable).parent}/", 1)
    bom = tmp_path / "bom.json"
    run(*asked.replace("dist/sluicegate.cdx.json", str(bom)).replace("dist/installed/bin/python", str(python)).split())
    document = json.loads(bom.read_text(encoding="utf-8"))
    assert (document["bomFormat"], document["metadata"]["component"]["name"]) == ("CycloneDX", "sluicegate")
    assert document["metadata"]["component"]["version"] in wheel.name
    assert {bare.normal(each["name"]) for each in document["components"]} == set(bare.needed(wheel))
    assert {each["purl"].partition("/")[0] for each in document["components"]} == {"pkg:pypi"}


def test_every_module_can_be_imported(python: Path, tmp_path: Path) -> None:
    script = (
        "import importlib, pkgutil, gateway, policies, adapters\n"
        "for package in (gateway, policies, adapters):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('.make_tables'): importlib.import_module(module.name)\n"
    )
    run(python, "-c", script, cwd=tmp_path)


def test_the_commands_work_in_an_empty_folder(command: Path, tmp_path: Path) -> None:
    assert "demo" in run(command, "--help", cwd=tmp_path)
    assert re.fullmatch(r"sluicegate \d+\.\d+\.\d+\S*\n", run(command, "--version", cwd=tmp_path))
    written = json.loads(run(command, "schema", cwd=tmp_path))
    assert written == json.loads((ROOT / "config/schema/sluicegate.schema.json").read_text(encoding="utf-8"))
    (demo,) = (ROOT / "gateway/demo/config").rglob("*.wsdl")
    (tmp_path / "stock.wsdl").write_bytes(demo.read_bytes())
    (tmp_path / "gateway.yaml").write_text(FIRST, encoding="utf-8")
    assert "get-order" in run(command, "routes", "--config", "gateway.yaml", cwd=tmp_path)
    run(command, "check", "gateway.yaml", cwd=tmp_path)


@pytest.fixture
def demo(command: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([command, "demo"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(bare.BOUND_S) == 0


def test_the_demo_runs_from_it(demo: subprocess.Popen[str]) -> None:
    assert demo.stdout is not None
    for line in demo.stdout:
        if found := re.fullmatch(r"  gateway +(http://\S+)\n", line):
            with urlopen(f"{found[1]}/status") as answer:
                assert answer.status == 200
            return
    pytest.fail("the demo ended before it said where it is")
