"""Redis stores whose clock moves when told to: for tests that must come to an end of time without waiting."""

from __future__ import annotations

import redis

from gateway.stores.redis.address import parse
from gateway.stores.redis.cluster import ClusterStore
from gateway.stores.redis.scripts import NOW, Scripts
from gateway.stores.redis.single import SingleStore
from gateway.stores.redis.slots import SLOTS, key_in
from tests.redis_groups import RedisCluster
from tests.redis_servers import RedisServer


class RedisClock:
    """Moves the time that scripts see, and drops what has ended then. Servers before Redis 7 have no PEXPIRETIME."""

    def __init__(self, servers: RedisServer | RedisCluster) -> None:
        self._ahead = 0.0
        self._keys = _keys(servers)
        each = [servers] if isinstance(servers, RedisServer) else servers.masters
        self._clients = [redis.Redis(port=server.port) for server in each]

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        for client, key in zip(self._clients, self._keys, strict=True):
            client.set(key, self._ahead)
            for found in client.scan_iter():
                left = client.pttl(found)
                if 0 <= left <= self._ahead * 1000 + 2:  # ends are rounded up to milliseconds
                    client.delete(found)


def clocked_store(servers: RedisServer | RedisCluster, *, process: str = "test") -> SingleStore | ClusterStore:
    """A store that follows every RedisClock of its servers, and is patient."""
    # on a cluster a script reads only what lies at its own server: one of these
    ahead = "".join(
        f" local a = redis.pcall('GET', '{key}') if type(a) == 'string' then now = now + a end"
        for key in _keys(servers)
    )
    scripts = Scripts(NOW + ahead)
    address = parse(f"{servers.url}?timeout=5s")
    if isinstance(servers, RedisCluster):
        return ClusterStore(address, name="test", process=process, scripts=scripts)
    return SingleStore(address, name="test", process=process, scripts=scripts)


def _keys(servers: RedisServer | RedisCluster) -> list[str]:
    """One at each server: the seconds by which its scripts are ahead of it."""
    parts = [range(SLOTS)] if isinstance(servers, RedisServer) else map(servers.slots_of, range(len(servers.masters)))
    return [key_in(slots, "ahead") for slots in parts]
