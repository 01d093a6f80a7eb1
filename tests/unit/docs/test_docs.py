"""What the documentation says is tried: examples compile, commands run, links lead somewhere, tables are complete."""

from __future__ import annotations

import ast
import asyncio
import importlib
import pkgutil
import re
import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

import gateway
from adapters.fixed_width.reading import read_layout
from gateway.api.settings.document import Document
from gateway.cli.application import application
from gateway.compile import compile_configuration
from gateway.compile.source.yaml12 import load
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.metrics import BOUNDS, Family
from gateway.testing.exchange import make_exchange

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    page
    for pattern in ("README.md", "CHANGELOG.md", "docs/**/*.md", "policies/*/README.md", "adapters/*/README.md")
    for page in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^```([a-z]+)( example)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")

BASE: dict[str, Any] = {
    "version": 1,
    "issuers": {"partners": {"issuer": "https://idp.example", "audience": "orders"}},
    "tiers": {"premium": {"rate": "100/s"}},
    "consumers": {"someone": {"tier": "premium", "client_ids": ["someone"]}},
    "upstreams": {name: {"targets": ["http://127.0.0.1:9001"]} for name in ("orders", "crm", "mainframe")},
}
"""What examples may refer to without showing it."""


def blocks(language: str) -> list[Any]:
    return [
        pytest.param(
            page, found[3], bool(found[2]), id=f"{page.relative_to(ROOT)}:{text[: found.start()].count(chr(10)) + 1}"
        )
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for found in BLOCK.finditer(text)
        if found[1] == language
    ]


DOCUMENT = {field.alias or name for name, field in Document.model_fields.items()}


def whole(page: Path, example: dict[str, Any]) -> dict[str, Any]:
    """A configuration around an example that shows a part of one; on an adapter's page perhaps only some options of it."""
    if "version" in example:
        return example
    if page.parent.parent.name == "adapters" and not example.keys() & {*DOCUMENT, "policies", "match"}:
        written = load((page.parent / "example.yaml").read_text(), str).value
        options = {name: {**options, **example} for name, options in written.items()}
        return whole(page, {"routes": [{"name": "example", "match": {}, "upstream": "crm", "adapter": options}]})
    if "match" in example:
        return {**BASE, "routes": [{"name": "example", "public": True, "respond": {}, **example}]}
    if set(example) == {"policies"}:
        example = {
            "routes": [{"name": "example", "match": {"path": "/customers/{id}"}, "upstream": "orders", **example}]
        }
    assert set(example) <= DOCUMENT
    merged = dict(BASE)
    for key, value in example.items():
        merged[key] = {**BASE[key], **value} if isinstance(value, dict) and key in BASE else value
    for route in merged.get("routes", ()):
        if not route.get("public") and not {"oauth2", "api_key", "mtls"} & route.setdefault("policies", {}).keys():
            route["policies"]["oauth2"] = {"issuer": "partners"}
    return merged


@pytest.mark.parametrize(("page", "text", "marked"), blocks("yaml"))
def test_yaml_examples_compile(
    page: Path, text: str, marked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"\$\{env:([A-Z_]+)\}", text):
        monkeypatch.setenv(name, "a secret")
    example = load(text, str).value
    if "fields" in example:  # a layout of records, not a configuration
        (tmp_path / "layout.yaml").write_text(text)
        assert read_layout(tmp_path / "layout.yaml").plain
        return
    document = whole(page, example)
    (tmp_path / "gateway.yaml").write_bytes(text.encode() if document is example else orjson.dumps(document))
    compiled = compile_configuration(tmp_path)
    if page == ROOT / "README.md":  # a first route is beyond reproach
        assert compiled.findings == ()
    # what examples refer to beside themselves is not there
    assert [str(error) for error in compiled.errors if "cannot read" not in error.message] == []


@pytest.mark.parametrize(("page", "text", "marked"), blocks("sh"))
def test_commands_run(page: Path, text: str, marked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sluicegate` commands of blocks marked as examples, from the root of the project, as a reader would."""
    monkeypatch.chdir(ROOT)
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0].startswith("scripts/"):
            assert (ROOT / words[0]).stat().st_mode & 0o111, line
        if marked:
            assert words[0] == "sluicegate", line
            result = CliRunner().invoke(application(), words[1:])
            assert result.exit_code == 0, (line, result.output)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_list() -> None:
    listed = {(ROOT / "docs" / target).resolve() for target in LINK.findall((ROOT / "docs/README.md").read_text())}
    pages = {page for page in PAGES if "adr" not in page.parts and page.name != "CHANGELOG.md"}
    assert pages - listed - {ROOT / "docs/README.md"} == set(), "docs/README.md lists every page: add these"


def rows(page: str) -> list[list[str]]:
    """Cells of all tables of a page."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]


def defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{one.name}" for one in inner}
    return names


def test_life_of_a_request_names_functions_that_exist() -> None:
    steps = rows("docs/life-of-a-request.md")
    assert len(steps) > 40
    for file, function, _ in steps:
        assert function.strip("`") in defined(ast.parse((ROOT / file.strip("`")).read_text())), (file, function)


def families() -> dict[str, Family]:
    modules = [importlib.import_module(one.name) for one in pkgutil.walk_packages(gateway.__path__, "gateway.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Family)]
    return {family.name: family for family in found}


def test_the_page_of_metrics_lists_every_family() -> None:
    listed = [cells[0].strip("`") for cells in rows("docs/metrics.md")]
    assert sorted(listed) == sorted(families())
    page = dict(zip(listed, rows("docs/metrics.md"), strict=True))
    for name, family in families().items():
        _, kind, labels, _ = page[name]
        assert kind == family.kind
        assert re.findall(r"`(\w+)`", labels) == list(family.labels)


def test_the_page_of_metrics_has_the_bounds_of_histograms() -> None:
    text = (ROOT / "docs/metrics.md").read_text()
    listed = re.search(r"have the bounds (.*) ms, and (.*) s\.", text)
    assert listed is not None
    numbers = [[float(one) for one in re.findall(r"[\d.]+", part)] for part in listed.groups()]
    assert tuple([one / 1000 for one in numbers[0]] + numbers[1]) == BOUNDS


def test_the_page_of_the_access_log_lists_every_field(tmp_path: Path) -> None:
    async def go() -> None:
        log = AccessLog(str(tmp_path / "log"), query=True)
        log.write(make_exchange(), 200, 0.1, complete=False)
        log.close()

    asyncio.run(go())
    fields = orjson.loads((tmp_path / "log").read_bytes()).keys()
    listed = {name for cells in rows("docs/access-log.md") for name in re.findall(r"`(\w+)`", cells[0])}
    assert listed == fields
    page = (ROOT / "docs/access-log.md").read_text()
    (shown,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert orjson.loads(shown).keys() == fields - {"query", "complete"}


def test_the_page_of_performance_names_commands_that_exist() -> None:
    lines = (ROOT / "docs/performance.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("|").split("|")[-1].strip() for line in lines if line.startswith("| ") and line.count("|") == 5]
    commands = [shlex.split(command) for cell in cells for command in re.findall(r"`([^`]+)`", cell)]
    files = [words[0] for words in commands if words[0].endswith(".py") or words[0].startswith("scripts/")]
    modules = [words[1] for words in commands if words[0] == "-m"]
    assert len(files) > 15
    assert len(modules) > 2
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert [name for name in modules if not (ROOT / (name.replace(".", "/") + ".py")).exists()] == []
