"""Redis servers that belong together: a cluster, and a master with replicas under sentinels. All of Debian's program."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import redis

from tests.redis_servers import RedisServer, free_port

FORM_S = 20.0
BUS = 10_000  # a node's cluster bus listens so far above its port


def wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + FORM_S
    while time.monotonic() < until:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        time.sleep(0.02)
    raise RuntimeError(f"not within {FORM_S:.0f} s: {what}")


def _low_port() -> int:
    return next(port for port in iter(free_port, 0) if port + BUS < 65_536 and _is_free(port + BUS))


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


class RedisCluster:
    """Masters with equal parts of the slots, the first with a replica."""

    def __init__(self, program: str, *options: str, masters: int = 3) -> None:
        settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf")
        settings += ("--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0", *options)
        self.masters = [RedisServer(program, *settings, port=_low_port()) for _ in range(masters)]
        self.replica = RedisServer(program, *settings, port=_low_port())

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in self.masters)

    def slots_of(self, number: int) -> range:
        share = 16384 // len(self.masters)
        return range(number * share, 16384 if number == len(self.masters) - 1 else (number + 1) * share)

    @contextlib.contextmanager
    def running(self) -> Iterator[RedisCluster]:
        with contextlib.ExitStack() as stack:
            for server in (*self.masters, self.replica):
                stack.enter_context(server)
            first = self.masters[0]
            for number, server in enumerate(self.masters):
                server.ask("CLUSTER", "ADDSLOTS", *self.slots_of(number))
                server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for server in (*self.masters[1:], self.replica):
                server.ask("CLUSTER", "MEET", "127.0.0.1", first.port)
            name = str(first.ask("CLUSTER", "MYID"), "ascii")  # type: ignore[arg-type]
            wait_for(lambda: self.replica.ask("CLUSTER", "REPLICATE", name), "the replica knows its master")
            for server in (*self.masters, self.replica):
                wait_for(lambda server=server: "ok" in str(server.ask("CLUSTER", "INFO")[:40]), "the cluster is whole")  # type: ignore[misc,index]
            yield self


class SentinelGroup:
    """A master called `main`, a replica, and three sentinels that agree by two."""

    def __init__(self, program: str, *options: str) -> None:
        self.master = RedisServer(program, *options)
        self.replica = RedisServer(
            program,
            *("--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", str(self.master.port)),
            *options,
        )
        self.sentinels = [RedisServer(program, "--sentinel") for _ in range(3)]

    @property
    def url(self) -> str:
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels) + "/main/0"

    @contextlib.contextmanager
    def running(self) -> Iterator[SentinelGroup]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.master)
            stack.enter_context(self.replica)
            wait_for(lambda: b"master_link_status:up" in _info(self.replica), "the replica follows")
            for sentinel in self.sentinels:
                (sentinel.folder / "sentinel.conf").write_text(
                    f"port {sentinel.port}\nbind 127.0.0.1\ndir {sentinel.folder}\n"
                    f"sentinel monitor main 127.0.0.1 {self.master.port} 2\n"
                    "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
                )
                stack.enter_context(sentinel)
            for sentinel in self.sentinels:
                wait_for(lambda s=sentinel: b"slaves=1,sentinels=3" in _info(s), "sentinels know each other")
            yield self


def _info(server: RedisServer) -> bytes:
    with redis.Redis(port=server.port) as client:
        client.set_response_callback("INFO", lambda reply: reply)
        found = client.execute_command("INFO")
        assert isinstance(found, bytes), "INFO answers text"
        return found
