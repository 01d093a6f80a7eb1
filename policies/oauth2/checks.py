"""Mistakes in an oauth2 block that show only beside the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.api.policy import CheckContext, Complaint
from policies.oauth2.config import OAuth2Block


def check(config: OAuth2Block, context: CheckContext) -> Iterator[Complaint]:
    if config.sender_constrained not in ("dpop", "any"):
        if config.store is not None:
            yield Complaint(("store",), "only DPoP proofs are kept there; this route asks for none", "warning")
        return
    settings = context.settings
    named = config.store or (settings.store if settings else None)
    if named is not None and (settings.stores.get(named, named) if settings else named) == "memory":
        what = "in memory each worker keeps its own: a proof is good once in each of them, and again after a restart"
        yield Complaint(("sender_constrained",), what, "warning")
