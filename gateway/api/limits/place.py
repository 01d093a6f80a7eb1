"""Finds the pot that a limit takes from: one for each store, shared by all limits of a process, of whichever policies."""

from __future__ import annotations

from gateway.api.limits.fallback import Fallback
from gateway.api.limits.pots import LocalPot, Pot, SharedPot
from gateway.api.ports import Scope, Store, is_local

NAMESPACE = "limits"  # all limits of a slot are one operation, so all keys of theirs lie in one namespace


def pot_of(scope: Scope, store: Store) -> Pot:
    """`store` is one of `scope`, which is that of NAMESPACE."""
    if is_local(store):
        local = store
        return scope.state(("pot", store), lambda: LocalPot(local))
    fallback = fallback_of(scope, store)
    return scope.state(("pot", store), lambda: SharedPot(store, fallback))


def fallback_of(scope: Scope, store: Store) -> Fallback:
    """What leads a process on while `store` is away."""
    memory = scope.store("memory")
    assert is_local(memory), "it is in memory"
    switches = scope.counter("limits_switches_total", "local"), scope.counter("limits_switches_total", "store")
    fallback = scope.state(("fallback", store), lambda: Fallback(store, memory.times, scope.workers, switches))
    scope.spawn(f"limits {id(fallback):x}", fallback.run)
    return fallback
