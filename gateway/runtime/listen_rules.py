"""What `listen` of the configuration says, as the edge of each listener goes by it. Listens to nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

from gateway.api.settings.document import Settings
from gateway.edge.receive import ListenRules
from gateway.edge.respond import HTTPS
from gateway.http.target import PathRules


def rules_of(settings: Settings, listener: int) -> ListenRules:
    """Those of the listener with this number; of the last one where there are fewer than there were at the start."""
    listen = settings.listen[min(listener, len(settings.listen) - 1)]
    return ListenRules(
        PathRules(listen.path.encoded_slash, listen.path.double_slash),
        listen.max_header,
        listen.max_headers,
        listen.body_timeout,
        None if listen.redirect is None else https_port(settings),
        listen.tls is not None and listen.tls.client_cert != "none",
    )


def https_port(settings: Settings) -> int:
    """Where callers of a listener with `redirect: https` go: public_url says it best, for ports may be mapped on the way."""
    public = urlsplit(settings.public_url or "")
    if public.scheme == "https":
        return public.port or HTTPS
    return next((listen.port for listen in settings.listen if listen.tls and not listen.unix and listen.port), HTTPS)
