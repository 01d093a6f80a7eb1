"""One policy instance where it is written: does what it refers to exist, and what does its own spec say of it?"""

from __future__ import annotations

from gateway.api.policy import CheckContext
from gateway.compile.available import unusable_store
from gateway.compile.decode.blocks import Remarks, complain
from gateway.compile.decode.errors import Keys
from gateway.compile.decode.policies import PolicyUnit, has_field
from gateway.compile.finding import suggestion
from gateway.compile.world import World
from gateway.stores.open import check_url, kind


def check_unit(world: World, unit: PolicyUnit, context: CheckContext, remarks: Remarks) -> None:
    """What one policy instance refers to, and what its own spec says of it."""
    for name in unit.issuers:
        if name not in world.issuers:
            what = f"there is no issuer '{name}'{suggestion(name, world.issuers)}"
            remarks.add((*unit.keys, "issuer"), what)
    store: object = unit.plan.config.store if has_field(type(unit.plan.config), "store") else None  # type: ignore[attr-defined]
    if isinstance(store, str):
        check_store(world, store, (*unit.keys, "store"), remarks)
    _check_kind(world, unit, store, remarks)
    for complaint in unit.spec.check(unit.plan.config, context):
        complain(remarks, unit.keys, complaint)


def check_store(world: World, store: str, keys: Keys, remarks: Remarks) -> None:
    """Whether what a policy or the default names is a store that can be opened."""
    if store in world.store_names or store == "memory":
        return
    if "://" not in store and store.partition("?")[0] != "sqlite":
        remarks.add(keys, f"there is no store '{store}'{suggestion(store, world.store_names)}")
        return
    check_store_url(store, keys, remarks)


def check_store_url(url: str, keys: Keys, remarks: Remarks) -> None:
    try:
        check_url(url)
    except ValueError as problem:
        remarks.add(keys, str(problem))


def _check_kind(world: World, unit: PolicyUnit, written: object, remarks: Remarks) -> None:
    """Whether the policy can use the store that it names or takes."""
    if world.settings is None:
        return
    named = written or world.settings.store
    if not isinstance(named, str):
        return
    used = kind(world.settings.stores.get(named, named))
    if used == "sqlite" and not written:
        return  # as the default it holds what must last, and nothing else
    what = unusable_store(unit.plan.policy, used)
    if what is not None:
        remarks.add((*unit.keys, "store") if written else unit.keys, what)
