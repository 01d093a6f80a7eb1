"""What is kept between compilations, what a fingerprint covers, and that nothing goes unnoticed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.compile import Compiled, Compiler
from gateway.compile.registry import Registry
from tests.unit.compile.conftest import CompileText, Write

GATEWAY = """
version: 1
issuers:
  idp: {issuer: "https://idp.example", audience: x, jwks: jwks.json, tier: gold}
  other: {issuer: "https://other.example", audience: x, unknown_consumer: refuse}
tiers: {gold: {rate: 5/s}}
roles: {clerk: {a: [GET]}}
upstreams:
  up: {targets: ["http://up:1"]}
  down: {targets: ["http://${env:DOWN:-down}:1"]}
defaults: {policies: {plain: {value: 1}}}
consumers: {acme: {tier: gold, tokens: [{issuer: idp, client_id: acme}]}}
"""
ROUTES = """
routes:
  - {name: a, match: {path: /a}, upstream: up, policies: {token: {issuer: idp}}}
  - {name: b, match: {path: /b}, upstream: down, policies: {token: {issuer: other}, plain: off}}
"""


@pytest.fixture
def folder(write: Write, tmp_path: Path) -> Path:
    (tmp_path / "jwks.json").write_text("{}")
    return write(GATEWAY, parts=ROUTES)


def compile_sound(compiler: Compiler) -> Compiled:
    found = compiler.compile()
    assert found.plan is not None, found.findings
    return found


def fingerprints(found: Compiled) -> dict[str, bytes]:
    assert found.plan is not None
    return {name: plan.fingerprint for name, plan in found.plan.routes.items()}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("gateway.yaml", "# nothing", "# nothing", set()),
        ("gateway.yaml", "http://up:1", "http://up:2", {"a"}),
        ("gateway.yaml", "value: 1", "value: 2", {"a"}),
        ("gateway.yaml", "https://other.example", "https://another.example", {"b"}),
        ("gateway.yaml", "rate: 5/s", "rate: 6/s", {"a"}),
        ("gateway.yaml", "a: [GET]", "a: [GET, PUT]", {"a"}),
        (
            "gateway.yaml",
            "tokens: [{issuer: idp",
            "tokens: [{issuer: other",
            {"a"},
        ),  # idp is no longer named: it allows
        ("routes/parts.yaml", "path: /a", "path: /aa", {"a"}),
        ("jwks.json", "{}", '{"keys": []}', {"a"}),
        ("gateway.yaml", "version: 1", "version: 1\nstore: memory", {"a", "b"}),
        ("gateway.yaml", "version: 1", "version: 1\nglobal: {policies: {plain: {value: 3}}}", {"a", "b"}),
        ("gateway.yaml", "version: 1", "version: 1\nlog: {level: debug}", set()),
        ("gateway.yaml", "acme: {", "rocket: {tier: gold}\n  acme: {", set()),
    ],
)
def test_a_fingerprint_changes_with_what_the_route_refers_to(
    folder: Path, specs: Registry, file: str, old: str, new: str, changed: set[str]
) -> None:
    if "rocket" in new:
        edit(folder / "gateway.yaml", "consumers: {", "consumers:\n  ")
        edit(folder / "gateway.yaml", "acme}]}}", "acme}]}")
    (folder / "gateway.yaml").write_text((folder / "gateway.yaml").read_text() + "# nothing\n")
    compiler = Compiler(folder, specs)
    first = compile_sound(compiler)
    edit(folder / file, old, new)
    second = compile_sound(compiler)
    before, after = fingerprints(first), fingerprints(second)
    assert {name for name in before if before[name] != after[name]} == changed
    assert fingerprints(compile_sound(Compiler(folder, specs))) == after  # what was kept is what would be made
    assert first.plan is not None
    assert second.plan is not None
    assert (first.plan.version == second.plan.version) is (old == new)


def test_a_changed_variable_is_noticed(folder: Path, specs: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler(folder, specs)
    before = fingerprints(compile_sound(compiler))
    monkeypatch.setenv("DOWN", "elsewhere")
    found = compile_sound(compiler)
    after = fingerprints(found)
    assert {name for name in before if before[name] != after[name]} == {"b"}
    assert found.plan is not None
    assert found.plan.upstreams["down"].config.targets[0].url == "http://elsewhere:1"


def test_a_file_that_goes_or_comes_back_is_noticed(folder: Path, specs: Registry) -> None:
    compiler = Compiler(folder, specs)
    compile_sound(compiler)
    (folder / "jwks.json").unlink()
    broken = compiler.compile()
    assert broken.plan is None
    assert [(each.path, each.line) for each in broken.errors] == [("issuers.idp.jwks", 4)]
    assert folder / "jwks.json" in broken.files
    (folder / "jwks.json").write_text("{}")
    compile_sound(compiler)
    edit(folder / "gateway.yaml", "roles: {clerk: {a: [GET]}}", "")
    (folder / "routes" / "parts.yaml").unlink()
    assert fingerprints(compile_sound(compiler)) == {}


def test_unchanged_files_keep_their_plans(folder: Path, specs: Registry, write: Write) -> None:
    (folder / "routes" / "more.yaml").write_text("routes: [{name: c, match: {path: /c}, public: true, respond: {}}]")
    compiler = Compiler(folder, specs)
    first = compile_sound(compiler).plan
    edit(folder / "routes" / "more.yaml", "/c", "/cc")
    second = compile_sound(compiler).plan
    assert first is not None
    assert second is not None
    assert second.routes["a"] is first.routes["a"]
    assert second.consumers["acme"] is first.consumers["acme"]
    assert second.routes["c"] is not first.routes["c"]


def test_every_file_is_among_the_files(folder: Path, specs: Registry) -> None:
    (folder / "token").write_text("x")
    edit(folder / "gateway.yaml", "version: 1", 'version: 1\nops: {token: "${file:token}"}')
    found = compile_sound(Compiler(folder, specs))
    names = {path.name for path in found.files}
    assert names == {"gateway.yaml", "parts.yaml", "jwks.json", "token"}


def test_equal_configurations_have_equal_versions_in_any_process(folder: Path) -> None:
    text = "\n".join(
        [
            "import sys; from tests.unit.compile.conftest import registry; from gateway.compile import Compiler",
            "print(Compiler(sys.argv[1], registry()).compile().plan.version)",
        ]
    )
    versions = {
        subprocess.run(
            [sys.executable, "-c", text, str(folder)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        ).stdout
        for seed in ("1", "2")
    }
    assert len(versions) == 1


def test_a_plan_travels(folder: Path, specs: Registry) -> None:
    plan = compile_sound(Compiler(folder, specs)).plan
    assert plan is not None
    again = pickle.loads(pickle.dumps((plan.settings, plan.upstreams, plan.issuers, dict(plan.consumers))))
    assert again == (plan.settings, plan.upstreams, plan.issuers, dict(plan.consumers))


def test_a_missing_configuration_is_a_finding(tmp_path: Path, specs: Registry) -> None:
    found = Compiler(tmp_path / "nope", specs).compile()
    assert (found.plan, found.readable) == (None, False)
    assert "no such folder" in str(found.findings[0])


def test_unreadable_files_are_findings(folder: Path, specs: Registry) -> None:
    (folder / "routes" / "latin.yaml").write_bytes("# é\n".encode("latin-1"))
    (folder / "routes" / "broken.yaml").write_text("routes:\n  [\n")
    (folder / "routes" / "list.yaml").write_text("- a")
    found = Compiler(folder, specs).compile()
    assert {(each.file, each.line) for each in found.errors} == {
        ("routes/latin.yaml", 1),
        ("routes/broken.yaml", 3),
        ("routes/list.yaml", 1),
    }


def test_one_file_is_a_configuration_too(tmp_path: Path, specs: Registry) -> None:
    (tmp_path / "all.yaml").write_text("version: 1\nroutes: [{name: x, match: {path: /}, public: true, respond: {}}]")
    found = compile_sound(Compiler(tmp_path / "all.yaml", specs))
    assert list(fingerprints(found)) == ["x"]


def test_an_adapters_files_travel_with_the_plan(compiled: CompileText, tmp_path: Path) -> None:
    text = """
    version: 1
    upstreams: {up: {targets: ["http://up:1"]}}
    routes:
      - {name: x, match: {path: /x}, public: true, upstream: up, adapter: {wrap: {path: ../card.cpy}}}
    """
    missing = compiled(text.replace("../card", "card"))
    assert [(each.path, each.line) for each in missing.errors] == [("routes.x.adapter.wrap.path", 5)]
    (tmp_path / "card.cpy").write_bytes(b"01 A.")
    found = compiled(text.replace("../card", "card"))
    assert found.plan is not None
    adapter = found.plan.routes["x"].adapter
    assert adapter is not None
    assert adapter.files == {"card.cpy": b"01 A."}
    assert [each.policy for each in found.plan.routes["x"].policies] == ["timeout", "request_size"]


def test_hidden_files_beside_the_routes_are_editors_own(folder: Path) -> None:
    before = Compiler(folder).compile().findings
    (folder / "routes" / ".#orders.yaml").symlink_to("someone@host.123:456")  # Emacs, while the file is being edited
    (folder / "routes" / "._orders.yaml").write_bytes(b"\x00\x05\x16\x07\xff")  # macOS, on what is not its own
    assert Compiler(folder).compile().findings == before


def test_a_pipe_is_refused_and_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "routes" / "pipe.yaml")
    os.mkfifo(folder / "jwks.pipe")
    text = (folder / "gateway.yaml").read_text().replace("{rate: 5/s}", '{rate: "${file:jwks.pipe}"}')
    (folder / "gateway.yaml").write_text(text)
    said = [str(finding) for finding in Compiler(folder).compile().errors]
    assert "routes/pipe.yaml: error: cannot be read: not a regular file" in said
    assert any("tiers.gold.rate: cannot read" in each and each.endswith("not a regular file") for each in said)
