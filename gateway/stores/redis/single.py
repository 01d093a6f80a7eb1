"""A store on one Redis server: always the same one, or the one that sentinels name."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.api.errors import StoreError
from gateway.stores.redis.address import Address
from gateway.stores.redis.greeting import context_of
from gateway.stores.redis.heartbeat import Heartbeat
from gateway.stores.redis.inquiry import Place, master_of
from gateway.stores.redis.link import Link
from gateway.stores.redis.scripts import Scripts
from gateway.stores.redis.server import Server
from gateway.stores.redis.store import RedisStore


class SingleStore(RedisStore):
    """All keys lie together."""

    def __init__(
        self, address: Address, *, name: str, process: str, lasting: bool = False, scripts: Scripts | None = None
    ) -> None:
        """`process` tells this one from all others that share the store. Raises OSError for TLS files of no use.

        `lasting`: for what must outlive everything, on a connection of its own: operations wait longer, and count when
        as many replicas as the address demands have acknowledged them.
        """
        super().__init__(address.prefix, scripts or Scripts())
        context = None if address.tls is None else context_of(address.tls)
        moves = address.kind == "redis+sentinel"

        sentinels = list(address.hosts)

        async def locate() -> Place:
            if not moves:
                return address.hosts[0]
            place, told_by = await master_of(sentinels, address, context)
            sentinels.sort(key=lambda each: each != told_by)  # the one that answers is asked first from now on
            return place

        heartbeat = Heartbeat(f"{address.prefix}{{processes}}", process, self._scripts, self._standing)
        self._server = Server(locate, address, context, heartbeat, self._standing, name, lasting=lasting, moves=moves)

    def _at_hand(self, keys: Sequence[str]) -> Link | None:
        return self._server.link

    async def _reach(self, keys: Sequence[str]) -> Link:
        await self._server.settled()
        if self._server.link is None:
            raise StoreError(f"away: {self._standing.reason}", asked=False)
        return self._server.link

    def together(self, full_keys: Sequence[str]) -> bool:
        return True

    async def settled(self) -> None:
        await self._server.settled()

    async def close(self) -> None:
        await self._server.close()
