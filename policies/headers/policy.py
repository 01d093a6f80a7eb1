"""Changes header fields on the way to the upstream and back. Decides nothing."""

from __future__ import annotations

from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Response
from gateway.api.policy import Gate, Layer
from gateway.api.ports import Scope
from policies.headers.config import Edits, HeadersConfig
from policies.headers.core import Edit


def build(config: HeadersConfig, scope: Scope) -> list[Gate | Layer]:
    """A gate for the request, a layer for the answer; each only when it has work. In shadow nothing is changed."""
    if scope.shadow:
        return []
    built: list[Gate | Layer] = []
    if config.request != Edits():
        built.append(RequestHeaders(_edit(config.request)))
    if config.response != Edits():
        built.append(ResponseHeaders(_edit(config.response)))
    return built


def _edit(edits: Edits) -> Edit:
    return Edit(edits.set, edits.add, edits.remove)


class RequestHeaders(Gate):
    def __init__(self, edit: Edit) -> None:
        self._apply = edit.apply

    def check(self, exchange: Exchange) -> Response | None:
        self._apply(exchange.request.headers, exchange)
        return None


class ResponseHeaders(Layer):
    def __init__(self, edit: Edit) -> None:
        self._apply = edit.apply

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        answer = await proceed(exchange)
        self._apply(answer.headers, exchange)
        return answer
