"""Namespaces: no part and no key can point outside of its own."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.ports import is_local
from gateway.stores.keys import LocalScoped, Scoped, scoped, tagged
from gateway.stores.memory import MemoryStore
from gateway.stores.redis.slots import slot_of
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


@given(_PARTS, st.text("a|{}:", max_size=5), _PARTS, st.text("a|{}:", max_size=5))
def test_two_tagged_names_meet_only_when_they_are_equal(parts, key, other_parts, other_key):
    one, other = (_namespace(each) for each in (parts, other_parts))
    assert (tagged(one, key) == tagged(other, other_key)) == ((one, key) == (other, other_key))


def test_an_empty_part_is_a_part():
    assert tagged("p", "k") != tagged("p:", "k") != tagged("p::", "k")


@given(_PARTS, _PARTS, st.text("a{}:", max_size=5), st.text("a|{}:", max_size=5))
def test_all_of_one_owner_and_policy_lies_together(parts, other_parts, owner, rest):
    keys = [
        tagged(_namespace(["p", *each]), owner + more) for each in (parts, other_parts) for more in ("", "|" + rest)
    ]
    assert len({slot_of("any:prefix:" + key) for key in keys}) == 1


def _namespace(parts):
    return LocalScoped(MemoryStore(FakeClock().monotonic), "").within(*parts).namespace.removeprefix(":")


def test_owners_and_policies_spread():
    slots = {slot_of(tagged(f"{policy}:route", f"owner{n}")) for n in range(1000) for policy in ("a", "b")}
    assert len(slots) > 1800


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
