"""A Redis store whose clock moves when told to: for tests that must come to an end of time without waiting."""

from __future__ import annotations

import redis

from gateway.stores.redis.address import parse
from gateway.stores.redis.scripts import NOW, Scripts
from gateway.stores.redis.store import RedisStore
from tests.redis_servers import RedisServer

AHEAD = "{test}ahead"  # seconds by which scripts are ahead of the server
_NOW = f"{NOW} now = now + (redis.call('GET', '{AHEAD}') or 0)"


class RedisClock:
    """Moves the time that scripts see, and drops what has ended then. Servers before Redis 7 have no PEXPIRETIME."""

    def __init__(self, server: RedisServer) -> None:
        self._client = redis.Redis(port=server.port)
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        self._client.set(AHEAD, self._ahead)
        for key in self._client.scan_iter():
            left = self._client.pttl(key)
            if 0 <= left <= self._ahead * 1000:
                self._client.delete(key)


def clocked_store(server: RedisServer, *, process: str = "test") -> RedisStore:
    """A store on `server` that follows every RedisClock of it, and is patient."""
    address = parse(f"{server.url}?timeout=5s")
    return RedisStore(address, name="test", process=process, scripts=Scripts(_NOW))
