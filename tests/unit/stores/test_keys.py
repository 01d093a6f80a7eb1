"""Namespaces: no part and no key can point outside of its own."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.ports import is_local
from gateway.stores.keys import LocalScoped, Scoped, scoped
from gateway.stores.memory import MemoryStore
from gateway.testing.clock import FakeClock
from gateway.testing.store import RemoteStore

_PARTS = st.lists(st.text(max_size=5), min_size=1, max_size=3)


@given(_PARTS, st.text(max_size=5), _PARTS, st.text(max_size=5))
def test_two_names_meet_only_when_they_are_equal(parts, key, other_parts, other_key):
    store = MemoryStore(FakeClock().monotonic)
    one = LocalScoped(store, "p").within(*parts).full_key(key)
    other = LocalScoped(store, "p").within(*other_parts).full_key(other_key)
    assert (one == other) == ((parts, key) == (other_parts, other_key))


@given(_PARTS, _PARTS)
def test_narrowing_twice_is_narrowing_once(first, second):
    store = LocalScoped(MemoryStore(FakeClock().monotonic), "p")
    assert store.within(*first).within(*second).full_key("k") == store.within(*first, *second).full_key("k")


def test_a_local_backend_gives_a_local_store():
    clock = FakeClock()
    assert is_local(scoped(MemoryStore(clock.monotonic), "rate_limit"))
    remote = scoped(RemoteStore(clock), "rate_limit")
    assert type(remote) is Scoped
    assert not is_local(remote.within("x"))


def test_keys_of_other_namespaces_cannot_be_reached():
    async def play():
        backend = MemoryStore(FakeClock().monotonic)
        mine, other = scoped(backend, "mine"), scoped(backend, "other")
        await other.put("k", b"secret", 60)
        for key in ("k", "../other|k", "|k", ":other|k", "%3Aother|k"):
            assert await mine.get(key) is None
        assert await mine.within("other").get("k") is None

    asyncio.run(play())
