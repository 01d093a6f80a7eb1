"""Revocations that outlive workers and restarts: one a line in a file of the state folder. Knows no tokens and no workers."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import orjson

from gateway.api.orders import Revoke

MAX_STANDING = 10_000  # as many as a worker keeps of one issuer; the oldest go first
FILE = "revocations.jsonl"  # within the state folder

log = logging.getLogger("sluicegate.supervisor")


class Revocations:
    """Until `open` named a folder they are kept in memory alone. Several gateways may share a folder, and then the file."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._file: Path | None = None
        self._standing: list[Revoke] = []

    def standing(self) -> list[Revoke]:
        """Those whose time is not over, the oldest first."""
        now = self._now()
        self._standing = [one for one in self._standing if one.until > now][-MAX_STANDING:]
        return list(self._standing)

    def open(self, folder: Path) -> None:
        """Read what was revoked before. Raises OSError when the file is there and cannot be read."""
        self._file = folder / FILE
        try:
            with closing(_locked(self._file, "r+b")) as file:
                lines = file.read().splitlines()
                self._standing = [order for line in lines if (order := order_of(line)) is not None]
                standing = self.standing()
                if len(lines) > 2 * len(standing) + MAX_STANDING // 10:
                    self._rewrite(standing)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise OSError(exc.errno, f"the `state` folder cannot be used: {exc.strerror}", str(self._file)) from exc

    async def add(self, order: Revoke) -> bool:
        """Keep it; returns whether it will be known after a restart."""
        self._standing.append(order)
        if self._file is None:
            return False
        try:
            await asyncio.to_thread(_append, self._file, order)
        except OSError as exc:
            log.error("a revocation could not be written down, a restart will forget it: %s: %s", self._file, exc)
            return False
        return True

    def _rewrite(self, standing: Iterable[Revoke]) -> None:
        """Without those whose time is over; the file's lock is held."""
        assert self._file is not None, "it was read"
        fresh = self._file.with_suffix(".new")
        with _created(fresh, os.O_TRUNC) as file:
            file.writelines(map(_line, standing))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)


def _append(path: Path, order: Revoke) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _created(path, 0).close()
    with closing(_locked(path, "r+b")) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":  # a line that broke off when the power did
                file.write(b"\n")
        file.write(_line(order))
        file.flush()
        os.fsync(file.fileno())


def _created(path: Path, flags: int) -> BinaryIO:
    """Open for writing, made if need be: for our eyes only, since subjects may be people."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600), "wb")


def _locked(path: Path, mode: str) -> BinaryIO:
    """The file that `path` names once its lock is ours: another process may have put a shorter one in its place meanwhile."""
    while True:
        file: BinaryIO = path.open(mode)  # type: ignore[assignment]  # binary modes only
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _line(order: Revoke) -> bytes:
    return orjson.dumps(order, option=orjson.OPT_APPEND_NEWLINE)


def order_of(line: bytes) -> Revoke | None:
    """What orjson made a line of; None, and a warning, when it cannot be read."""
    try:
        said = orjson.loads(line)
        order = Revoke(said["issuer"], said["jti"], said["subject"], float(said["at"]), float(said["until"]))
    except (ValueError, TypeError, KeyError):
        log.warning("a revocation that was kept cannot be read and is passed over")
        return None
    return order
