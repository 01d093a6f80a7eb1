"""The client that speaks to upstreams. Lean, because it is on the path of every request; knows no route and no policy."""

from gateway.upstream.client import Upstream
from gateway.upstream.sweep import Sweep

__all__ = ["Sweep", "Upstream"]
