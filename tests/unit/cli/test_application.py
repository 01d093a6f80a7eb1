"""The command line as a whole: each command is there, explains itself by an example, and help imports none of them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.application import COMMANDS, application, load


def leaves(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    below = getattr(command, "commands", None)
    return [path] if not below else [leaf for name, each in below.items() for leaf in leaves(each, (*path, name))]


LEAVES = [leaf for name in COMMANDS for leaf in leaves(load(name), (name,))]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(application(), arguments, env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.mark.parametrize("leaf", LEAVES, ids=" ".join)
def test_every_command_shows_an_example(leaf: tuple[str, ...]) -> None:
    shown = run(*leaf, "--help")
    assert shown.exit_code == 0, shown.output
    assert re.search(rf"Example: .*sluicegate {' '.join(leaf)}", " ".join(shown.output.split()))


def test_help_lists_every_command() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    for name, (sentence, _) in COMMANDS.items():
        assert name in shown.output
        assert sentence in shown.output


def test_help_imports_no_command() -> None:
    script = (
        "import sys; from gateway.cli.application import application\n"
        "try: application()(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'yaml', 'uvloop', 'lxml', 'starlette', 'httpx'} & set(sys.modules)\n"
        "sys.exit(f'imported for --help: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_version() -> None:
    shown = run("--version")
    assert shown.exit_code == 0
    assert shown.output.startswith("sluicegate 0")


def test_an_unknown_command_is_an_error() -> None:
    assert run("surve").exit_code == 2
