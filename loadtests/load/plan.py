"""What the processes of a run must know: who calls, how hard, how many processes there are. A folder holds it.

`plan.json` is written once; `level` is written whenever the load changes, and read ten times a second.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Caller:
    """A partner: its name as the upstream sees it, and what it shows. A `token_url` is asked for tokens; else `token` is used."""

    name: str
    token: str = ""
    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    noisy: bool = False
    rate: float = 0.0
    """Calls a second that its limit allows, for the noisy one."""
    burst: float = 0.0


@dataclass(frozen=True)
class Plan:
    scenario: str
    host: str
    processes: int
    connections: int
    """Calls, streams or sockets that all processes together hold open at most."""
    callers: tuple[Caller, ...]
    fresh_tokens: str = ""
    """A file with a token on each line that nobody has seen, for the login storm; else the callers' token URLs are asked."""
    own_stage: bool = True
    """Upstream and callers are ours, so that bodies can be foretold."""

    def write(self, folder: Path) -> None:
        target = folder / "plan.json"
        target.touch(mode=0o600)  # it holds tokens
        target.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Plan:
        values = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        values["callers"] = tuple(Caller(**caller) for caller in values["callers"])
        return cls(**values)


def write_level(folder: Path, level: float) -> None:
    """Calls a second of all processes together; of a scenario that holds connections, how many. Seen whole or not at all."""
    fresh = folder / "level.new"
    fresh.write_text(repr(level), encoding="utf-8")
    os.replace(fresh, folder / "level")


def read_level(folder: Path) -> float:
    try:
        return float((folder / "level").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0.0
