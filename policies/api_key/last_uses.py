"""When each API key was used last in this worker. Shared by all routes; knows no consumers."""

from __future__ import annotations

from gateway.api.orders import LastUses


class KeyUses:
    """Implements gateway.api.orders.Ordered for `LastUses`. `at` grows with the keys of the configuration, not with callers."""

    def __init__(self) -> None:
        self.at: dict[bytes, float] = {}  # SHA-256 of the key -> Unix seconds

    def carry_out(self, order: object) -> dict[bytes, float] | None:
        return dict(self.at) if isinstance(order, LastUses) else None
