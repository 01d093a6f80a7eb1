"""Whole configurations and everything that is found in them, word by word.

After a change that is meant: `UPDATE_GOLDEN=1 python -m pytest tests/golden/config`, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.compile import compile_configuration

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/gateway.yaml"))
SECRET = "never-to-be-seen"


@pytest.mark.parametrize("case", CASES)
def test_findings(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDEN_SECRET", SECRET)
    compiled = compile_configuration(HERE / case)
    text = "".join(f"{finding}\n" for finding in compiled.findings).replace(str(HERE / case), "DIR")
    expected = HERE / case / "expected.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()
    assert SECRET not in text
    assert (compiled.plan is None) == bool(compiled.errors)
