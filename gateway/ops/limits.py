"""`/limits` of the ops port: how a consumer stands with all limits, as all workers know it together; and beginning anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.orders import ShowLimits
from gateway.ops.answers import Json, problem, unknown_consumer
from gateway.runtime.ops_backend import OpsBackend

_SUMS = ("left", "in_use", "max")  # of what each worker holds for itself


class LimitOrders:
    def __init__(self, backend: OpsBackend) -> None:
        self._backend = backend

    async def limits(self, request: Request) -> Response:
        """GET shows, DELETE resets and shows what is left then."""
        names = request.query_params.getlist("consumer")
        if len(names) != 1 or len(request.query_params.multi_items()) != 1:
            return problem(400, "ops.limits", "Name one consumer, as in /limits?consumer=acme.")
        plan = self._backend.plan().consumers.get(names[0])
        if plan is None:
            return unknown_consumer()
        order = ShowLimits(plan.consumer, reset=request.method == "DELETE")
        views: dict[str, list[Mapping[str, Any]]] = {}
        for entry in _entries(await self._backend.purge(order)):
            views.setdefault(entry["key"], []).append(entry)
        standings = [together(views[key]) for key in sorted(views)]
        return Json({"consumer": names[0], "tier": plan.consumer.tier or None, "limits": standings})


def together(views: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What several workers say of one limit, as one."""
    whole = dict(views[0])
    shared = whole.pop("shared", True)
    in_hand = sum(view.get("in_hand", 0) for view in views)
    if not shared:
        whole |= {name: sum(view[name] for view in views) for name in _SUMS if name in whole}
        if "full_in_s" in whole:
            whole["full_in_s"] = max(view["full_in_s"] for view in views)
    elif "left" in whole:
        whole["left"] += in_hand - whole.get("in_hand", 0)  # blocks that the other workers hold are left, too
    whole.pop("in_hand", None)
    return whole | {"held_in": "a store" if shared else "the memory of the workers"}


def _entries(answers: Sequence[object]) -> Iterator[Mapping[str, Any]]:
    for worker in answers:
        for board in worker if isinstance(worker, list) else ():
            yield from board if isinstance(board, list) else ()
