"""Which client calls an upstream: its targets say it. Calls nothing itself."""

from __future__ import annotations

from gateway.api.settings.upstream import UpstreamConfig
from gateway.upstream.client import Upstream
from gateway.upstream.tcp.client import MessageUpstream


def kind_of(config: UpstreamConfig) -> type[Upstream]:
    return {"http": Upstream, "tcp": MessageUpstream}[config.kind]
