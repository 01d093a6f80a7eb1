"""Who shares a store: each process writes that it lives, and learns how many do."""

from __future__ import annotations

from typing import Any

from gateway.api.errors import StoreError
from gateway.api.standing import Standing
from gateway.stores.redis.link import Link
from gateway.stores.redis.scripts import Scripts

EVERY_S = 1.0
LIVES_S = 5.0  # without a word: a process that ended without leaving is counted for so long

# One sorted set: the processes, by the time at which they count as dead
_BEAT = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] * 1000))
return redis.call('ZCARD', KEYS[1])
"""


class Heartbeat:
    """Of one process, under one key."""

    every_s = EVERY_S

    def __init__(self, key: str, process: str, scripts: Scripts, counted: Standing) -> None:
        """`counted` is told how many live."""
        self._counted = counted
        self._key = key
        self._process = process
        self._script = scripts.of(_BEAT)

    async def beat(self, link: Link) -> None:
        """Raises StoreError."""
        packed = self._script.pack((self._key,), (self._process, LIVES_S))
        self._counted.processes = max(1, await link.call(self._script, packed, _count))

    async def leave(self, link: Link) -> None:
        """Count no more, from now on."""
        try:
            await link.ask("ZREM", self._key, self._process)
        except StoreError:
            return  # it ends by itself


def _count(reply: Any) -> int:
    if not isinstance(reply, int):
        raise TypeError(f"{reply!r} is no count")
    return reply
