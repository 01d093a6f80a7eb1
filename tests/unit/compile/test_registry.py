"""Which policies and adapters there are, and what is said when two claim one name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

import policies
from gateway.api.policy import PolicySpec
from gateway.compile import registry
from gateway.compile.registry import RegistryError, installed
from tests.unit.compile.conftest import Plain, spec

MINE = spec("mine", Plain)
API_KEY = spec("api_key", Plain)
NOT_A_SPEC = object()


def collect(*points: tuple[str, str]) -> dict[str, PolicySpec]:
    kind = registry._Kind("policy", policies, "POLICY", PolicySpec)
    return registry._collect(kind, [EntryPoint(name, value, "sluicegate.policies") for name, value in points])


def test_built_in_policies_are_found_by_folder() -> None:
    found = installed().policies
    assert {"oauth2", "api_key", "rate_limit", "cors", "timeout"} <= set(found)
    assert all(name == each.name for name, each in found.items())


def test_others_come_by_entry_point() -> None:
    assert collect(("mine", f"{__name__}:MINE"))["mine"] is MINE


def test_a_clash_names_both_origins() -> None:
    with pytest.raises(RegistryError, match=r"policy 'api_key' is there twice: policies.api_key and .*:API_KEY"):
        collect(("api_key", f"{__name__}:API_KEY"))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("other", f"{__name__}:MINE", "calls itself 'mine'"),
        ("mine", f"{__name__}:NOT_A_SPEC", "is no PolicySpec"),
        ("mine", "no_such_module:POLICY", "cannot be loaded"),
    ],
)
def test_what_does_not_fit_is_an_error(name: str, value: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        collect((name, value))


def test_a_folder_without_a_spec_is_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.importlib, "import_module", ModuleType)
    assert collect() == {}


def test_a_worker_imports_what_adapters_and_issuers_need_when_a_route_has_them() -> None:
    """The compilers of both adapters, lxml and httpx are 17 MiB in each process."""
    script = (
        "import sys; import gateway.runtime.worker, gateway.runtime.installed_plane\n"
        "from gateway.compile.registry import installed\n"
        "assert {'soap', 'fixed_width'} <= set(installed().adapters)\n"
        "heavy = {'lxml', 'httpx', 'adapters.soap.route', 'adapters.fixed_width.adapter'} & set(sys.modules)\n"
        "sys.exit(f'imported by every worker: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
