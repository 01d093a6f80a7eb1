"""Operations as Redis takes them: Lua with the server's clock, called by digest. Sends nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.stores.redis.resp import Word, pack

# Scripts are replicated by their effects (the only way since Redis 7, the default since 5), so TIME may come before a write
# https://redis.io/docs/latest/develop/interact/programmability/lua-api/#script-replication
NOW = "local now = redis.call('TIME') now = tonumber(now[1]) + tonumber(now[2]) / 1000000"

GET = "return redis.call('GET', KEYS[1])"
PUT = "redis.call('SET', KEYS[1], ARGV[1], 'PXAT', math.ceil((now + ARGV[2]) * 1000))"
# SET with both NX and GET came with Redis 7.0 only
CLAIM = f"""
local holder = redis.call('GET', KEYS[1])
if holder then return holder end
{PUT}
return false
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua body with the clock before it, on the same line, so that errors name the body's own lines."""

    text: bytes
    digest: bytes

    def pack(self, keys: Sequence[str], arguments: Sequence[Word]) -> bytes:
        try:
            return pack(("EVALSHA", self.digest, len(keys), *keys, *arguments))
        except UnicodeEncodeError:  # a caller's name may hold half a surrogate pair, by JSON's \\u escapes
            encoded = [key.encode("utf-8", "surrogatepass") for key in keys]
            return pack(("EVALSHA", self.digest, len(keys), *encoded, *arguments))

    def in_full(self, packed: bytes) -> bytes:
        """The same call with the script itself, for a server that does not know it; afterwards it does."""
        digest = b"$7\r\nEVALSHA\r\n$40\r\n%s\r\n" % self.digest
        return packed.replace(digest, b"$4\r\nEVAL\r\n$%d\r\n%s\r\n" % (len(self.text), self.text), 1)


class Scripts:
    """The scripts of one store; each is made once."""

    def __init__(self, now: str = NOW) -> None:
        """`now` is the Lua statement that sets the clock; tests have their own."""
        self._now = now
        self._made: dict[str, Script] = {}

    def of(self, lua: str) -> Script:
        made = self._made.get(lua)
        if made is None:
            text = f"{self._now}; {lua}".encode()
            digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
            made = self._made[lua] = Script(text, digest)
        return made
