"""Open files of a process: every connection is one. A gateway takes as many as its machine allows, and says when they are too few."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from gateway.api.settings.listen import Listen

ROOM = 500  # for all that is no caller's connection: those to upstreams and stores, logs, what starts


def raise_limit() -> int | None:
    """Take the hard limit as the soft one, for this process and those that it starts; that limit, None where there is none.

    The soft limit is 1024 on many machines, for programs that use select(2), which nothing here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS tells no bound that it would accept
        hard = soft
    return None if hard == resource.RLIM_INFINITY else hard


def too_few(listens: Sequence[Listen], workers: int, limit: int | None) -> str | None:
    """What to tell operators when callers can use up a worker's files, before `max_connections` turns any away."""
    callers = sum(max(1, listen.max_connections // workers) for listen in listens)
    if limit is None or callers + ROOM <= limit:
        return None
    return (
        f"each worker may open {limit} files, and callers alone may open {callers} connections to it: "
        f"raise the limit of open files (ulimit -n, LimitNOFILE) to {callers + ROOM}, or lower listen.max_connections"
    )
