"""Two consumers never answer to the same credentials. Knows nothing of what credentials open."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.compile.plan import ConsumerPlan
from gateway.compile.world import World


def check_identities(world: World, plans: Mapping[str, ConsumerPlan]) -> None:
    seen: dict[object, str] = {}
    for name, plan in plans.items():
        identities: list[tuple[object, str]] = [
            *((("client", *client), f"client '{client[1]}' of issuer '{client[0]}'") for client in plan.clients),
            *((("key", digest), f"API key '{key_id}'") for digest, key_id, _ in plan.keys),
            *((("certificate", each), f"certificate '{_shown(each)}'") for each in plan.certificates),
        ]
        for identity, words in identities:
            first = seen.setdefault(identity, name)
            owned = world.consumers[name]
            if first != name:
                other = world.consumers[first].block.place
                what = f"{words} is already that of consumer '{first}', at {other}"
                world.notes.on(owned.unit).add(owned.block.keys, what)
        if len({key_id for _, key_id, _ in plan.keys}) < len(plan.keys):
            owned = world.consumers[name]
            world.notes.on(owned.unit).add((*owned.block.keys, "api_keys"), "two of these keys have the same id")


def _shown(certificate: bytes | str) -> str:
    return certificate.hex() if isinstance(certificate, bytes) else certificate
