"""The table of consumers finds whom it should after any sequence of changes, and costs little memory."""

from __future__ import annotations

import asyncio
import gc
import pickle
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.consumers import Consumer, Limits
from gateway.compile.plan import ConsumerPlan
from gateway.runtime.consumers import ConsumerTable
from gateway.testing.turns import until


def plan(
    name: str, clients: tuple[tuple[str, str], ...] = (), keys: tuple[bytes, ...] = (), tier: str = ""
) -> ConsumerPlan:
    return ConsumerPlan(
        Consumer(name, tier=tier), clients, tuple((key, f"k{number}", None) for number, key in enumerate(keys)), ()
    )


def test_each_way_of_finding_a_consumer() -> None:
    acme = ConsumerPlan(
        Consumer("acme"),
        (("partners", "acme-prod"),),
        ((b"d" * 32, "k1", 5.0),),
        (b"\xab" * 32, "CN=acme"),
    )
    table = ConsumerTable.of({"acme": acme})
    found = acme.consumer
    assert table.by_name("acme") is found
    assert table.by_client("partners", "acme-prod") is found
    entry = table.by_key_digest(b"d" * 32)
    assert entry is not None
    assert (entry.consumer, entry.key_id, entry.expires) == (found, "k1", 5.0)
    assert table.by_certificate(b"\xab" * 32, "") is found
    assert table.by_certificate(b"", "CN=acme") is found
    assert table.names_issuer("partners")


def test_nobody_else_is_found() -> None:
    table = ConsumerTable.of({"acme": plan("acme", (("partners", "acme-prod"),), (b"d" * 32,))})
    assert table.by_name("rocket") is None
    assert table.by_client("staff", "acme-prod") is None, "a client of one issuer is nobody at another"
    assert table.by_client("partners", "rocket") is None
    assert table.by_key_digest(b"d" * 31 + b"e") is None, "the same first octets are not the same key"
    assert table.by_certificate(b"d" * 32, "CN=other") is None
    assert not table.names_issuer("staff")


def test_two_digests_that_begin_alike_are_two_keys() -> None:
    one, other = b"same-8-b" + b"1" * 24, b"same-8-b" + b"2" * 24
    table = ConsumerTable.of({"a": plan("a", (), (one,)), "b": plan("b", (), (other,))})
    found = [table.by_key_digest(digest) for digest in (one, other)]
    assert [entry.consumer.name for entry in found if entry] == ["a", "b"]
    table = asyncio.run(table.updated({}, ["a"]))
    assert table.by_key_digest(one) is None
    assert table.by_key_digest(other) is not None


def test_a_client_may_move_from_one_consumer_to_another() -> None:
    old = ConsumerTable.of({"a": plan("a", (("p", "c"),)), "b": plan("b")})
    for order in (["a", "b"], ["b", "a"]):
        changes = {"a": plan("a"), "b": plan("b", (("p", "c"),))}
        new = asyncio.run(old.updated({name: changes[name] for name in order}, ()))
        found = new.by_client("p", "c")
        assert found is not None
        assert found.name == "b"
    unchanged = old.by_client("p", "c")
    assert unchanged is not None
    assert unchanged.name == "a", "a table never changes"


def test_an_issuer_is_no_longer_named_when_its_last_client_goes() -> None:
    table = ConsumerTable.of({"a": plan("a", (("p", "c"),))})
    assert not asyncio.run(table.updated({}, ["a"])).names_issuer("p")


names = st.sampled_from(["a", "b", "c"])
rows = st.dictionaries(names, st.sets(st.integers(0, 5)), max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(rows, st.sets(names)), max_size=5))
def test_an_updated_table_equals_one_built_anew(steps: list[tuple[dict[str, set[int]], set[str]]]) -> None:
    async def run() -> None:
        table, state = ConsumerTable(), {}
        for version, (changed, removed) in enumerate(steps):
            taken = {number for name, old in state.items() if name not in changed for number in old}
            rows = {name: numbers - taken for name, numbers in changed.items()}
            for name in list(rows):  # one client belongs to one consumer: the configuration sees to that
                rows[name] -= {number for other in rows if other < name for number in rows[other]}
            gone = removed - changed.keys()
            state = {name: old for name, old in (state | rows).items() if name not in gone}
            plans = {
                name: plan(
                    name, tuple(("p", str(n)) for n in numbers), tuple(bytes([n]) * 32 for n in numbers), str(version)
                )
                for name, numbers in rows.items()
            }
            table = await table.updated(plans, gone)
            assert len(table) == len(state)
            owners = {number: name for name, numbers in state.items() for number in numbers}
            for number in range(6):
                by_client, by_key = table.by_client("p", str(number)), table.by_key_digest(bytes([number]) * 32)
                assert (by_client and by_client.name) == owners.get(number)
                assert (by_key and by_key.consumer.name) == owners.get(number)

    asyncio.run(run())


def test_the_event_loop_gets_its_turn_while_a_large_table_is_built() -> None:
    plans = {f"c{number}": plan(f"c{number}", (("p", f"c{number}"),)) for number in range(4000)}

    async def run() -> int:
        building = asyncio.ensure_future(ConsumerTable().updated(plans, ()))
        turns = await until(building.done)
        assert len(building.result()) == 4000
        return turns

    assert asyncio.run(run()) >= 10


def test_a_consumer_travels_whole() -> None:
    full = Consumer(
        "a", "free", Limits(burst=2.0), {"r": Limits(burst=1.0)}, ("10.0.0.0/8",), frozenset({"x"}), {"k": "v"}
    )
    assert pickle.loads(pickle.dumps(full)) == full
    assert pickle.loads(pickle.dumps(Consumer("a"))) == Consumer("a")


def test_a_consumer_costs_less_than_a_kibibyte() -> None:
    count = 2000
    gc.collect()
    tracemalloc.start()
    try:
        # as a worker has them: out of a pickle, with nothing shared but what the table itself shares
        made = pickle.dumps(
            {
                f"partner-{n}": ConsumerPlan(
                    Consumer(f"partner-{n}", tier="free"),
                    (("partners", f"partner-{n}-prod"),),
                    ((n.to_bytes(4) * 8, f"k{n}", None),),
                    (),
                )
                for n in range(count)
            }
        )
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        table = ConsumerTable.of(pickle.loads(made))
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()
    assert len(table) == count
    assert each <= 1024
