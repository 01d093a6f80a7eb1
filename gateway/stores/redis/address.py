"""What a Redis URL says. Connects to nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

from gateway.api.config import parse_duration

PORT = 6379
SENTINEL_PORT = 26379
PREFIX = "sluicegate:"
TIMEOUT_S = 0.01  # a script call takes 0.1 ms on a quick network; beyond this a request goes on without the store
LASTING_TIMEOUT_S = 1.0  # what must last waits for a disk or for replicas, and is refused when it cannot be kept

_OPTIONS = {"prefix", "timeout", "acks", "ca", "cert", "key", "server_name"}
_PREFIX = re.compile(r"[A-Za-z0-9._:-]*")

Kind = Literal["redis", "redis+sentinel", "redis+cluster"]


@dataclass(frozen=True, slots=True)
class Tls:
    """Verifies chain and name, by the system's authorities or by `ca`."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is, and how it is spoken to."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    user: str = ""
    password: str = ""
    db: int = 0
    master: str = ""  # the name by which sentinels know it
    tls: Tls | None = None
    prefix: str = PREFIX
    timeout_s: float | None = None
    acks: int = 0  # replicas that must have what must last before it counts

    def wait_s(self, *, lasting: bool) -> float:
        """Seconds that an operation waits for its answer."""
        return self.timeout_s or (LASTING_TIMEOUT_S if lasting else TIMEOUT_S)

    def __str__(self) -> str:
        """For logs and metrics: without user information and options."""
        scheme = self.kind.replace("redis", "rediss", 1) if self.tls else self.kind
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        path = f"/{self.master}" if self.master else ""
        return f"{scheme}://{hosts}{path}/{self.db}" if self.kind != "redis+cluster" else f"{scheme}://{hosts}"


def parse(url: str) -> Address:
    """Raises ValueError with a sentence that repeats nothing of a password."""
    scheme, found, rest = url.partition("://")
    place, _, query = rest.partition("?")
    kind, tls = _kind(scheme)
    if not found or kind is None:
        raise ValueError("a Redis store is written as redis://HOST:PORT/DB")
    authority, _, path = place.partition("/")
    information, _, hosts = authority.rpartition("@")
    user, colon, password = information.partition(":")
    if information and not colon:
        raise ValueError("user information is written as USER:PASSWORD@ or :PASSWORD@")
    options = _options(query)
    master, db = _path(kind, path)
    default = SENTINEL_PORT if kind == "redis+sentinel" else PORT
    return Address(
        kind,
        tuple(_host(host, default) for host in hosts.split(",")),
        unquote(user),
        unquote(password),
        db,
        master,
        _tls(options, tls),
        _prefix(options.get("prefix", PREFIX)),
        _timeout(options.get("timeout")),
        _count(options.get("acks", "0")),
    )


def _kind(scheme: str) -> tuple[Kind | None, bool]:
    tls = scheme.startswith("rediss")
    match "redis" + scheme.removeprefix("rediss" if tls else "redis"):
        case "redis" | "redis+sentinel" | "redis+cluster" as kind:
            return kind, tls
        case _:
            return None, tls


def _host(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("hosts are written as HOST:PORT, several with commas")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _path(kind: Kind, path: str) -> tuple[str, int]:
    """The sentinels' name of the master, and the number of the database."""
    parts = [part for part in path.split("/") if part]
    master = ""
    if kind == "redis+sentinel":
        if not parts:
            raise ValueError("sentinels are asked for a master: redis+sentinel://HOST:26379,HOST:26379/MASTER")
        master = unquote(parts.pop(0))
    if kind == "redis+cluster" and parts not in ([], ["0"]):
        raise ValueError("a cluster has no databases; leave the path out")
    if len(parts) > 1 or (parts and not parts[0].isdecimal()):
        raise ValueError("the path is the number of a database, as in redis://HOST:6379/0")
    return master, int(parts[0]) if parts else 0


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise ValueError(f"a Redis store has no option '{name}'; there is {', '.join(sorted(_OPTIONS))}")
        if name in options:
            raise ValueError(f"the option '{name}' is there twice")
        options[name] = value
    return options


def _tls(options: dict[str, str], wanted: bool) -> Tls | None:
    files = {name: options[name] for name in ("ca", "cert", "key", "server_name") if name in options}
    if not wanted:
        if files:
            raise ValueError(f"the option '{next(iter(files))}' is for rediss:// only")
        return None
    if "key" in files and "cert" not in files:
        raise ValueError("a `key` needs its `cert`")
    return Tls(**files)


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("a prefix holds letters, digits and . _ : -")
    return text


def _timeout(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = parse_duration(text)
    if not 0.001 <= seconds <= 60:
        raise ValueError("a store's timeout lies between 1ms and 60s")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 16:
        raise ValueError("acks is a number of replicas")
    return int(text)
