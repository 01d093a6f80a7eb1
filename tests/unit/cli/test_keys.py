"""`sluicegate keys new`: what it prints is what the gateway takes."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from gateway.api.settings.consumer import ApiKey
from gateway.cli.keys import command, new_key
from gateway.ops.answers import moment


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    command(app)
    result = CliRunner().invoke(app, ["keys", *arguments])
    return result.exit_code, result.output


def test_the_printed_line_is_the_digest_of_the_printed_key() -> None:
    status, printed = run("new", "acme", "--expires", "2999-01-31")
    assert status == 0
    key, line = re.findall(r"^  (\S.*)$", printed, re.MULTILINE)
    (row,) = yaml.safe_load(line)
    entry = ApiKey.model_validate(row)
    assert entry.sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert key.startswith(f"sgk_{entry.id}_"), "a key that turns up somewhere tells its id"
    assert entry.expires == datetime(2999, 2, 1, tzinfo=UTC).timestamp()  # the end of that day
    assert key not in line


@pytest.mark.parametrize("never", ["9999-12-31", "9999-12-31T23:59:59-10:00"])
def test_the_last_day_there_is_can_be_written_and_shown(never: str) -> None:
    expires = ApiKey.model_validate({"id": "k", "sha256": "0" * 64, "expires": never}).expires
    assert expires is not None
    assert moment(expires, "seconds") == "9999-12-31T23:59:59Z"


def test_keys_differ_and_have_256_random_bits() -> None:
    keys = {new_key().key for _ in range(50)}
    assert len(keys) == 50
    assert all(len(key.split("_", 2)[2]) == 43 for key in keys)


def test_a_consumer_that_the_configuration_lacks_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("version: 1\nconsumers: {acme: {}}\nroutes: []\n")
    assert "warning" not in run("new", "acme", "--config", str(tmp_path))[1]
    status, printed = run("new", "acne", "--config", str(tmp_path))
    assert status == 0
    assert "has no consumer 'acne'; did you mean 'acme'?" in printed.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["new", "Acme"], "lower-case"),
        (["new", "acme", "--expires", "2020-01-01"], "has passed"),
        (["new", "acme", "--expires", "soon"], "not a date"),
        (["new"], "consumer"),
    ],
)
def test_mistakes_are_said_plainly(arguments: list[str], why: str) -> None:
    status, printed = run(*arguments)
    assert status == 2
    assert why in printed
    assert "sgk_" not in printed
