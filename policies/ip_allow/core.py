"""Who may call, by address. Knows nothing of requests."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.api.addresses import AddressSet, parse_address


class Rules:
    """Denied networks beat allowed ones; no allowed ones means everybody else."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, allow: Iterable[str], deny: Iterable[str]) -> None:
        self._allow = AddressSet(allow)
        self._deny = AddressSet(deny)

    def admits(self, client: str) -> bool:
        """A caller without an address (on a Unix socket) is in no network: admitted only where nothing need be allowed."""
        address = parse_address(client)
        if address is None:
            return not self._allow
        if address in self._deny:
            return False
        return not self._allow or address in self._allow
