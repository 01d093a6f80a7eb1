"""A delta, sent in parts, turns one configuration into the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.config import Block
from gateway.api.settings.document import Settings
from gateway.compile.plan import AdapterPlan, Plan
from gateway.runtime.delta import PART_BYTES, Delta, DeltaParts, difference, split

EMPTY = Plan("v0", Settings(version=1), {}, {}, {}, {}, ())


@dataclass(frozen=True)
class Entry:
    fingerprint: bytes
    weight: str = ""
    adapter: AdapterPlan | None = None


def plan(version: str, routes: dict[str, Entry], consumers: dict[str, Entry] | None = None) -> Plan:
    return replace(EMPTY, version=version, routes=cast(Any, routes), consumers=cast(Any, consumers or {}))


def travelled(delta: Delta) -> Delta:
    assembly = DeltaParts()
    for part in split(delta):
        assembly.add(part)
    return assembly.take()


def test_only_what_changed_is_in_it() -> None:
    old = plan("v1", {"same": Entry(b"1"), "changed": Entry(b"1"), "gone": Entry(b"1")}, {"acme": Entry(b"1", "old")})
    new = plan("v2", {"same": Entry(b"1"), "changed": Entry(b"2"), "new": Entry(b"1")}, {"acme": Entry(b"1", "new")})
    delta = difference(old, new, workers=4)
    assert (delta.base, delta.version, delta.workers) == ("v1", "v2", 4)
    assert delta.routes.keys() == {"changed", "new"}
    assert delta.gone_routes == {"gone"}
    assert delta.consumers.keys() == {"acme"}, "consumers have no fingerprint: they are compared whole"
    assert delta.changed() == 4


def test_against_nothing_it_is_everything() -> None:
    delta = difference(None, plan("v1", {"a": Entry(b"1")}))
    assert (delta.base, delta.routes.keys(), delta.gone_routes) == (None, {"a"}, frozenset())


names = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.binary(min_size=1, max_size=2), max_size=8)


@given(names, names)
def test_applied_in_parts_it_gives_the_new_configuration(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    old = plan("v1", {name: Entry(mark) for name, mark in before.items()})
    new = plan("v2", {name: Entry(mark) for name, mark in after.items()})
    delta = travelled(difference(old, new))
    assert {name: entry for name, entry in old.routes.items() if name not in delta.gone_routes} | delta.routes == (
        new.routes
    )


def test_parts_are_small_and_nothing_is_lost() -> None:
    routes = {f"route-{n}": Entry(b"%d" % n, f"{n:x}" * 40) for n in range(3000)}
    delta = difference(None, plan("v1", routes))
    parts = list(split(delta))
    assert max(map(len, parts)) <= PART_BYTES
    assert len(parts) > 10
    assert travelled(delta).routes == routes


def test_an_entry_larger_than_a_part_travels_alone() -> None:
    routes = {"small": Entry(b"1"), "wsdl": Entry(b"2", "x" * (3 * PART_BYTES)), "other": Entry(b"3")}
    assert travelled(difference(None, plan("v1", routes))).routes == routes


def test_files_of_adapters_travel_once() -> None:
    wsdl, small = b"<wsdl/>" * 100_000, b"<xsd/>"

    def entry(name: str) -> Entry:
        # equal octets from wherever they were read are one file
        return Entry(
            name.encode(), adapter=AdapterPlan("soap", Block(), {"a.wsdl": bytes(bytearray(wsdl)), "b.xsd": small})
        )

    new = plan("v1", {f"r{number}": entry(f"r{number}") for number in range(50)})
    delta = difference(None, new)
    assert sum(map(len, split(delta))) < len(wsdl) + 50_000
    arrived = travelled(delta)
    assert arrived.routes == delta.routes
    contents = [one.adapter.files["a.wsdl"] for one in arrived.routes.values() if one.adapter is not None]
    assert len({id(one) for one in contents}) == 1, "and are one object where they arrive"
