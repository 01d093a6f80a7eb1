"""TLS towards upstreams: the context that a configuration asks for. Opens no connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from gateway.api.settings.upstream import UpstreamTls


def client_context(config: UpstreamTls, names: Iterable[str], alpn: str | None = "http/1.1") -> ssl.SSLContext:
    """Verifies chain and name unless `verify` is false.

    Raises OSError (ssl.SSLError too) when a file is of no use, ValueError when TLS cannot ask for one of `names`.
    """
    context = ssl.create_default_context(cafile=config.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    if config.cert is not None:
        context.load_cert_chain(config.cert, config.key)
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for name in names:  # found out here rather than by the first call
        try:
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
        except ValueError as problem:
            raise ValueError(f"TLS cannot ask for a server called {name!r}") from problem
    return context
