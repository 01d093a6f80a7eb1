"""The one place where a fault becomes an answer: it says whose fault it was, and tells the log the rest."""

from __future__ import annotations

import asyncio
import logging

from gateway.api.errors import BadReply, Cause, ClientGone, RequestRefused, StoreError, Unmappable, UpstreamError
from gateway.api.exchange import Exchange
from gateway.api.messages import Response
from gateway.api.problem import RETRY_SOON, problem
from gateway.edge.body import BrokenBody
from gateway.edge.receive import PlainText
from gateway.edge.respond import redirect_to_https

log = logging.getLogger("sluicegate.edge")

CLOSE = ((b"connection", b"close"),)
_FIELDS = {
    # After these nobody knows for sure where the next request begins, or the rest of this one may never come
    "request.framing": CLOSE,
    "request.body-timeout": CLOSE,
    "request.connect": CLOSE,
    # RFC 9110 §15.5.6: whatever the target, for which no route was looked up
    "request.trace": ((b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),),
}

_SENT = "it may have done what was asked, so repeat the call only where that does no harm."
_UNSENT = "try again soon."

# status, code, what happened
_UPSTREAM = {
    Cause.UNREACHABLE: (502, "upstream.unreachable", "could not be reached"),
    Cause.RESET: (502, "upstream.reset", "closed the connection before its answer was whole"),
    Cause.PROTOCOL: (502, "upstream.protocol", "gave an answer that breaks its protocol"),
    Cause.TIMEOUT: (504, "upstream.timeout", "did not answer in time"),
    Cause.OVERLOAD: (503, "upstream.overload", "has no free connection or healthy target at the moment"),
}


def answer(exchange: Exchange, fault: BaseException) -> Response | None:
    """The answer to a fault; None when nobody waits for one. Re-raises what ends the whole task."""
    match fault:
        case UpstreamError():
            return _upstream_error(exchange, fault)
        case RequestRefused():
            return problem(exchange, fault.status, fault.code, fault.detail, _FIELDS.get(fault.code, ()))
        case PlainText():
            exchange.note("request.plain-text")
            return redirect_to_https(exchange, fault.port)
        case Unmappable():
            where = "the value at `pointer`" if fault.pointer else "the request"
            detail = f"{fault.detail.rstrip('.')}; correct {where}."
            return problem(exchange, 422, "request.unmappable", detail, pointer=fault.pointer)
        case BadReply():
            log.warning(
                "upstream %s: answer does not fit: %s",
                exchange.upstream,
                fault,
                extra={"request_id": exchange.request_id},
            )
            detail = "The upstream's answer does not fit its description; tell the operators the request id."
            return problem(exchange, 502, "upstream.bad-answer", detail, where=fault.where)
        case StoreError():
            return problem(exchange, 503, "store.unavailable", "A store is out of reach; try again soon.", RETRY_SOON)
        case BrokenBody():
            return problem(
                exchange,
                400,
                "request.body-broken",
                "The body broke off, or its chunks are malformed; send it again, whole.",
                CLOSE,
            )
        case ClientGone():
            return None
        case asyncio.CancelledError() if exchange.client_gone:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            return None
        case Exception():
            log.error("a bug: %r", fault, exc_info=fault, extra={"request_id": exchange.request_id})
            return problem(exchange, 500, "gateway.internal", "The gateway failed; tell its operators the request id.")
        case _:
            raise fault


def _upstream_error(exchange: Exchange, fault: UpstreamError) -> Response:
    status, code, what = _UPSTREAM[fault.cause]
    log.warning("%s", fault, extra={"request_id": exchange.request_id, "sent": fault.sent})
    return problem(
        exchange,
        status,
        code,
        f"The upstream '{fault.upstream}' {what} (stage: {fault.stage}); {_SENT if fault.sent else _UNSENT}",
        RETRY_SOON if status == 503 else (),
        upstream=fault.upstream,
        stage=fault.stage,
    )
