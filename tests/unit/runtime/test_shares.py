"""Which limits several workers hold by their shares, and that operators are told."""

from pathlib import Path

import pytest

from gateway.compile import Compiler
from gateway.runtime.shares import held_in_memory, warning

CONFIGURATION = """
version: 1
STORE
routes:
  - name: status
    match: {path: /status}
    public: true
    respond: {body: ok}
    policies: {POLICIES}
"""
ALL = "rate_limit: {per: ip, rate: 1/s}, quota: {per: ip, limit: 1/day, count: all}, concurrency: {per: ip, max: 1}"


@pytest.mark.parametrize(
    ("store", "policies", "held"),
    [
        ("", ALL, ["concurrency", "rate_limit"]),
        ("store: sqlite", ALL, ["concurrency", "rate_limit"]),
        ("store: memory", ALL, ["concurrency", "quota", "rate_limit"]),
        ("store: redis://127.0.0.1", ALL, []),
        ("{stores: {shared: 'redis://127.0.0.1'}, store: shared}", ALL, []),
        ("", "rate_limit: {per: ip, rate: 1/s, store: 'redis://127.0.0.1'}", []),
        ("store: redis://127.0.0.1", "quota: {per: ip, limit: 1/day, count: all, store: memory}", ["quota"]),
        ("", "rate_limit: {per: ip, rate: 1/s, store: sqlite}", []),
    ],
)
def test_what_is_held_in_memory(tmp_path: Path, store: str, policies: str, held: list[str]) -> None:
    written = store.strip("{}").replace("}, store", "}\nstore") if store.startswith("{") else store
    (tmp_path / "gateway.yaml").write_text(CONFIGURATION.replace("STORE", written).replace("POLICIES", policies))
    plan = Compiler(tmp_path).compile().plan
    assert plan is not None
    assert held_in_memory(plan) == held
    assert warning(plan, 1) is None
    said = warning(plan, 4)
    assert (said is None) is (not held)
    if said is not None:
        assert "each of the 4 workers holds its share" in said
