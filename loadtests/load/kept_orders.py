"""Orders in a file that several processes share, so that an upstream can be restarted while others serve, and none is forgotten."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from gateway.demo.orders import FIRST_NUMBER, DemoOrders

LISTED = 1000


class KeptOrders(DemoOrders):
    """The demo's orders. Nothing is synced: what a process has said outlives it, not the machine."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = OFF")
        super().__init__()

    def begin(self) -> None:
        """Of several processes that start at once one makes the first orders."""
        self._file.execute("BEGIN IMMEDIATE")
        self._file.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT, quantity INTEGER)")
        if not self.listed():
            super().begin()
        self._file.execute("COMMIT")

    def add(self, item: str, quantity: int) -> dict[str, Any]:
        added = self._file.execute(
            "INSERT INTO orders VALUES (coalesce((SELECT max(id) + 1 FROM orders), ?), ?, ?)",
            (FIRST_NUMBER, item, quantity),
        )
        return _order(added.lastrowid, item, quantity)

    def find(self, number: str) -> dict[str, Any] | None:
        found = self._file.execute("SELECT * FROM orders WHERE id = ?", (number,)).fetchone()
        return None if found is None else _order(*found)

    def listed(self) -> list[dict[str, Any]]:
        return [_order(*row) for row in self._file.execute("SELECT * FROM orders ORDER BY id LIMIT ?", (LISTED,))]

    def executed(self) -> dict[str, int]:
        """How often each item was ordered: what a caller names differently each time stands here once."""
        return dict(self._file.execute("SELECT item, count(*) FROM orders GROUP BY item"))


def _order(number: int | None, item: str, quantity: int) -> dict[str, Any]:
    return {"id": str(number), "item": item, "quantity": quantity, "state": "accepted"}
