"""The threat model names the tests that show its controls: each of them exists, and each row names one."""

from __future__ import annotations

import ast
import re

from tests.unit.docs.steps import ROOT

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what ")]
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_each_threat_names_a_test_that_exists() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        named = TEST.findall(row.rpartition(" | ")[2])
        assert named, row
        for file, function in named:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            functions = {
                node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert not function or function in functions, (file, function)
