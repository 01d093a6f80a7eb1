"""Files in one folder: written whole or not at all, taken by one caller each. Blocking; knows no event loop and no request.

Names that begin with a dot are ours while something is under way: `.NAME.….part` is being written, `.NAME.….taken` being
delivered. What a crash leaves of them is never picked up by a pattern, and nothing is lost: it can be renamed by hand.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock
from typing import BinaryIO
from uuid import uuid4

_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK))


class Part:
    """A file that is being written: open, write, publish. Each raises OSError.

    Calls wait for one another, so discard() may come while another thread is still at work: it cleans up after it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._final = folder / name
        self._path = folder / f".{name}.{uuid4().hex}.part"
        self._file: BinaryIO | None = None
        self._lock = Lock()

    def open(self) -> None:
        with self._lock:
            self._file = self._path.open("xb")

    def write(self, piece: bytes) -> None:
        with self._lock:
            assert self._file is not None, "opened before"
            self._file.write(piece)

    def publish(self) -> None:
        """Give the file its name, once all of it is on the disk. Raises FileExistsError: nothing is overwritten."""
        with self._lock:
            assert self._file is not None, "opened before"
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            try:
                os.link(self._path, self._final)  # unlike rename, refuses a name that is taken
            except OSError as problem:
                if problem.errno not in _NO_LINKS:
                    raise
                if self._final.exists():
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from problem
                self._path.rename(self._final)
            else:
                self._path.unlink()
            _sync(self._final.parent)

    def discard(self) -> None:
        with self._lock, suppress(OSError):
            if self._file is not None:
                self._file.close()
                self._path.unlink(missing_ok=True)


class Taken:
    """A file that nobody else can take any more."""

    def __init__(self, path: Path, original: Path) -> None:
        self._path = path
        self._original = original
        self._file = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def done(self) -> None:
        """It was delivered."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def put_back(self) -> None:
        """It was not: the next caller gets it."""
        self._file.close()
        with suppress(OSError):
            self._path.rename(self._original)


def take(folder: Path, pattern: str) -> Taken | None:
    """The oldest file that matches, None when there is none. `pattern` may lead into another folder. Raises OSError."""
    where, _, names = pattern.rpartition("/")
    inside = folder / where
    found = []
    with os.scandir(inside) as entries:
        for entry in entries:
            if fnmatchcase(entry.name, names) and not entry.name.startswith("."):
                with suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False):
                        found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
    for _, name in sorted(found):
        taken = inside / f".{name}.{uuid4().hex}.taken"
        try:
            (inside / name).rename(taken)
        except FileNotFoundError:  # another caller, or another worker, was first
            continue
        return Taken(taken, inside / name)
    return None


def _sync(folder: Path) -> None:
    """A name is on the disk once its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
