"""Changes header fields on the way to the upstream and back. Decides nothing."""

from __future__ import annotations

from gateway.api.exchange import Exchange, Proceed
from gateway.api.messages import Response
from gateway.api.placeholder import compile_template
from gateway.api.policy import Gate, Layer
from gateway.api.ports import Clock, Scope
from policies.headers.config import Edits, HeadersConfig
from policies.headers.core import Edit, Signer

_WHO = frozenset(("consumer", "claim"))  # roots of placeholders that are filled with what an authenticator found


def build(config: HeadersConfig, scope: Scope) -> list[Gate | Layer]:
    """A gate for the request, a layer for the answer; each only when it has work. In shadow nothing is changed."""
    if scope.shadow:
        return []
    built: list[Gate | Layer] = []
    request, sign = config.request, config.request.sign
    if request.set or request.add or request.remove:
        # what says who is calling must never be what the caller says
        ours = [name for name, text in request.add.items() if _WHO & compile_template(text).roots]
        built.append(RequestHeaders(Edit(request.set, request.add, (*request.remove, *ours))))
    if sign is not None:
        signer = Signer(sign.fields or request.set, sign.id, sign.secret, sign.expires)
        built.append(SignedHeaders(signer, scope.clock))
    if config.response != Edits():
        built.append(ResponseHeaders(Edit(config.response.set, config.response.add, config.response.remove)))
    return built


class RequestHeaders(Gate):
    def __init__(self, edit: Edit) -> None:
        self._apply = edit.apply

    def check(self, exchange: Exchange) -> Response | None:
        self._apply(exchange.request.headers, exchange)
        return None


class SignedHeaders(Gate):
    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._apply = signer.apply
        self._clock = clock

    def check(self, exchange: Exchange) -> Response | None:
        request = exchange.request
        self._apply(request.headers, request.method, self._clock.time())
        return None


class ResponseHeaders(Layer):
    def __init__(self, edit: Edit) -> None:
        self._apply = edit.apply

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        answer = await proceed(exchange)
        self._apply(answer.headers, exchange)
        return answer
