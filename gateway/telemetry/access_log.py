"""The access log: one JSON line a request, written by one thread in batches. Never holds a secret, a token or a body.

On the request path a line is a tuple; many become text in one go, which takes a third of the time that it takes between other
work. When the reader of the log is too slow, lines are dropped and counted: a full disk or a stuck pipe never stops the gateway.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import time
from collections import deque
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from pathlib import Path

import orjson

from gateway.api.exchange import Exchange

BATCH_LINES = 64  # become text in one go, about 0.1 ms
BATCH_BYTES = 256 * 1024  # a hand-over to the thread costs about 100 µs of waiting for the interpreter
BATCH_S = 0.1  # nginx flushes its buffered log each second; tests and tails like it sooner
BACKLOG_BYTES = 16 * 2**20
PIPE_BYTES = 4096  # POSIX PIPE_BUF on Linux: writes up to it are not torn apart when several workers share a pipe

_THOUSANDTHS = tuple(f".{number:03d}" for number in range(1000))  # a look-up takes a third of formatting one

_Entry = tuple[float, str, str, str, str, str, str, str, bytes, int, int, float, str, float, list[str], bool]


class AccessLog:
    """Owns the descriptor (but stdout stays open) and its writer thread; `close` ends both after the last line."""

    def __init__(self, target: str, *, query: bool) -> None:
        """`target` is `stdout` or a file's path. Raises OSError when the file cannot be opened."""
        self._target = target
        self._query = query
        self._entries: list[_Entry] = []
        self._lines = bytearray()
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._millisecond = 0
        self._stamp = ""
        self.dropped = 0
        self._writer = _Writer(target)

    def write(self, exchange: Exchange, status: int, seconds: float, *, complete: bool) -> None:
        """One line about an exchange that has ended."""
        request = exchange.request
        principal = exchange.principal
        entries = self._entries
        entries.append(
            (
                time.time(),
                exchange.request_id,
                exchange.trace_id,
                exchange.route,
                principal.name if principal is not None else "",
                request.client,
                request.method,
                request.path,
                request.query,
                status,
                exchange.bytes_out,
                seconds,
                exchange.upstream,
                exchange.upstream_s,
                exchange.codes,
                complete,
            )
        )
        if len(entries) >= BATCH_LINES:
            self._encode()
            if len(self._lines) >= BATCH_BYTES:
                self.flush()
                return
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_S, self.flush)

    def _encode(self) -> None:
        """Make lines of the entries."""
        entries, self._entries = self._entries, []
        for (
            at,
            request_id,
            trace_id,
            route,
            consumer,
            client,
            method,
            path,
            query,
            status,
            octets,
            seconds,
            upstream,
            upstream_s,
            codes,
            complete,
        ) in entries:
            millisecond = int(at * 1000)
            if millisecond != self._millisecond:
                self._millisecond = millisecond
                second, fraction = divmod(millisecond, 1000)  # RFC 3339 in UTC
                self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)) + f".{fraction:03d}Z"
            us = int(seconds * 1e6)
            upstream_us = int(upstream_s * 1e6)
            # only the stamp and both ids hold nothing that needs quoting
            line = (
                f'{{"time":"{self._stamp}","request_id":"{request_id}","trace_id":"{trace_id}",'
                f'{_who(route, consumer, client, method)}"path":{quoted(path)},'
                f'"status":{status},"bytes":{octets},"ms":{us // 1000}{_THOUSANDTHS[us % 1000]},'
                f'{_whom(upstream)}"upstream_ms":{upstream_us // 1000}{_THOUSANDTHS[upstream_us % 1000]},'
                f'"codes":{orjson.dumps(codes).decode() if codes else "[]"}'
            )
            if self._query:
                line += f',"query":{quoted(query.decode("latin-1"))}'
            if not complete:
                line += ',"complete":false'
            # a lone surrogate, which a claim may hold, becomes JSON's escape of it
            self._lines += line.encode("utf-8", "backslashreplace") + b"}\n"
        self._count += len(entries)

    def flush(self) -> None:
        """Hand what has gathered to the writer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._encode()
        if self._lines:
            if not self._writer.offer(self._lines):
                self.dropped += self._count
            self._lines, self._count = bytearray(), 0

    def reopen(self) -> None:
        """Open the file anew, after logrotate moved it."""
        self.flush()
        self._writer.reopen()

    def close(self) -> None:
        """Write what is left, then give the descriptor back. Blocks until the last line is written, at most 5 s."""
        self.flush()
        self._writer.close()


@lru_cache(maxsize=4096)  # many lines have it alike: finding it takes a third of the time of quoting it
def _who(route: str, consumer: str, client: str, method: str) -> str:
    return f'"route":{quoted(route)},"consumer":{quoted(consumer)},"client":{quoted(client)},"method":{quoted(method)},'


@lru_cache(maxsize=256)
def _whom(upstream: str) -> str:
    return f'"upstream":{quoted(upstream)},'


class _Writer:
    """A daemon thread with a bounded queue of batches."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._descriptor = _open(target)
        self._ready = threading.Condition()
        self._batches: deque[bytearray] = deque()
        self._waiting = 0
        self._reopen = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def offer(self, lines: bytearray) -> bool:
        with self._ready:
            if self._waiting + len(lines) > BACKLOG_BYTES:
                return False
            self._waiting += len(lines)
            self._batches.append(lines)
            self._ready.notify()
            return True

    def reopen(self) -> None:
        with self._ready:
            self._reopen = True
            self._ready.notify()

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._batches or self._reopen or self._closed)
                batches, self._batches = self._batches, deque()
                self._waiting = 0
                reopen, self._reopen = self._reopen, False
                closed = self._closed
            for lines in batches:
                self._write(lines)
            if reopen and self._target != "stdout":
                self._reopen_file()
            if closed:
                if self._target != "stdout":
                    os.close(self._descriptor)
                return

    def _reopen_file(self) -> None:
        try:
            fresh = _open(self._target)
        except OSError:  # its folder is gone for the moment: better the old file than none
            return
        os.close(self._descriptor)
        self._descriptor = fresh

    def _write(self, lines: bytearray) -> None:
        if not stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
            _write_all(self._descriptor, lines)
            return
        at = 0
        while at < len(lines):
            end = lines.rfind(b"\n", at, at + PIPE_BYTES) + 1 or lines.index(b"\n", at) + 1
            _write_all(self._descriptor, lines[at:end])
            at = end


def _open(target: str) -> int:
    if target == "stdout":
        return 1
    try:
        return os.open(Path(target), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    except OSError as exc:
        raise OSError(exc.errno, f"`log.access` cannot be written: {exc.strerror}", target) from exc


def _write_all(descriptor: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # a terminal or pipe that someone else made non-blocking
            time.sleep(0.01)
        except OSError:  # the disk is full or the reader is gone: the log gives way, requests do not
            return
