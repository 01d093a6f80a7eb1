"""One policy instance where it is written: does what it refers to exist, and what does its own spec say of it?"""

from __future__ import annotations

from gateway.api.policy import CheckContext
from gateway.compile.decode.blocks import Remarks, complain
from gateway.compile.decode.errors import Keys
from gateway.compile.decode.policies import PolicyUnit, has_field
from gateway.compile.finding import suggestion
from gateway.compile.world import World
from gateway.stores.open import check_url


def check_unit(world: World, unit: PolicyUnit, context: CheckContext, remarks: Remarks) -> None:
    """What one policy instance refers to, and what its own spec says of it."""
    for name in unit.issuers:
        if name not in world.issuers:
            what = f"there is no issuer '{name}'{suggestion(name, world.issuers)}"
            remarks.add((*unit.keys, "issuer"), what)
    store: object = unit.plan.config.store if has_field(type(unit.plan.config), "store") else None  # type: ignore[attr-defined]
    if isinstance(store, str):
        check_store(world, store, (*unit.keys, "store"), remarks)
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
