"""`ratelimit_headers: pass`: what an upstream says of its own limits stands in the answer beside what the gateway says of its."""

from __future__ import annotations

from gateway.api.exchange import Exchange, Proceed
from gateway.api.limits.fields import POLICY_FIELD, RATELIMIT
from gateway.api.messages import Headers, Response
from gateway.api.policy import Layer

_FIELDS = (POLICY_FIELD, RATELIMIT)


class UpstreamLimits(Layer):
    """Stands outside retries, so that of several answers the last counts, and inside a cache, where such fields must not be kept."""

    async def around(self, exchange: Exchange, proceed: Proceed) -> Response:
        response = await proceed(exchange)
        told = [field for field in response.headers if field[0] in _FIELDS]
        if told:
            response.headers = Headers(field for field in response.headers if field[0] not in _FIELDS)
            # both are lists (draft-ietf-httpapi-ratelimit-headers-10 §3, §4): a second line adds items to the first
            exchange.response_headers += told
        return response
