"""`/idempotency/ROUTE/KEY` of the ops port: the orders of gateway.ops.records over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.errors import StoreError
from gateway.ops import records
from gateway.ops.answers import Json, problem
from gateway.runtime.ops_backend import OpsBackend

Text = Annotated[str, Field(min_length=1, max_length=1000)]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["settle", "release"]
    who: Text
    reason: Text
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: str = ""
    content_type: Annotated[str, Field(pattern=r"^[!-~][ -~]*$")] = "application/json"


class IdempotencyOrders:
    def __init__(self, backend: OpsBackend) -> None:
        self._backend = backend

    async def record(self, request: Request) -> Response:
        """GET shows the record; POST settles or releases it."""
        query = request.query_params
        try:
            place = records.place_of(
                self._backend.plan(),
                request.path_params["route"],
                request.path_params["key"],
                query.get("consumer"),
                query.get("caller"),
            )
            if request.method != "POST":
                return Json(await records.show(place))
            order = _Order.model_validate_json(await request.body())
            if order.action == "release":
                await records.release(place, order.who, order.reason)
            elif order.status is None:
                return problem(
                    422, "ops.order-malformed", "Send `status` with `settle`: the one that retries are to get."
                )
            else:
                body = order.body.encode("utf-8")
                await records.settle(place, order.status, body, order.content_type, order.who, order.reason)
        except ValidationError as wrong:
            fields = ", ".join(".".join(map(str, each["loc"])) or "the body" for each in wrong.errors())
            detail = f"Not an order: {fields}; send JSON with action (settle or release), who, reason, and for settle status."
            return problem(422, "ops.order-malformed", detail)
        except records.OutOfReachError as reason:
            if request.method != "POST":
                whose = (
                    "" if query.keys() & {"consumer", "caller"} else ", and tell whose key is meant with ?consumer=NAME"
                )
                return problem(
                    404, "ops.no-such-record", f"Nothing to show: {reason}; check the route and the key{whose}."
                )
            return problem(404, "ops.no-such-record", f"Nothing changed: {reason}; see what GET says of this key.")
        except StoreError:
            return problem(
                503,
                "ops.store-unavailable",
                "The store of the records is out of reach, so nothing is known; try again when it is back.",
            )
        return Json({"done": order.action})
