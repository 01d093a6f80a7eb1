"""The ops plane: a Starlette application on a port of its own. Serves operators and monitors, never a partner."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from gateway.ops.access import Access
from gateway.ops.answers import of_bug, of_http
from gateway.ops.credentials import CredentialOrders
from gateway.ops.endpoints import Endpoints
from gateway.ops.idempotency import IdempotencyOrders
from gateway.ops.limits import LimitOrders
from gateway.ops.purge import CachePurge
from gateway.runtime.ops_backend import OpsBackend


def ops_application(backend: OpsBackend) -> Starlette:
    """Needs a backend whose first configuration is live: its `ops` says who may call."""
    at = Endpoints(backend)
    credentials = CredentialOrders(backend)
    application = Starlette(
        routes=[
            Route("/healthz", at.alive),
            Route("/readyz", at.ready),
            Route("/metrics", at.metrics),
            Route("/reload", at.reload, methods=["POST"]),
            Route("/config", at.configuration),
            Route("/upstreams", at.upstreams),
            Route("/keys", credentials.keys),
            Route("/limits", LimitOrders(backend).limits, methods=["GET", "DELETE"]),
            Route("/cache", CachePurge(backend).delete, methods=["DELETE"]),
            Route("/tokens/revoke", credentials.revoke, methods=["POST"]),
            Route("/idempotency/{route}/{key:path}", IdempotencyOrders(backend).record, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(Access, settings=backend.plan().settings.ops)],
        exception_handlers={HTTPException: of_http, Exception: of_bug},
    )
    application.router.redirect_slashes = False
    return application
