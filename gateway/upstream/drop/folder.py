"""Files in one folder: written whole or not at all, taken by one caller each. Blocking; knows no event loop and no request.

Names that begin with a dot are ours while something is under way: `.NAME.….part` is being written, `.NAME.….taken` being
delivered, `.NAME.….rejected` was no answer that can be read. None is ever picked up by a pattern. What a crash leaves of the
written, which nobody was told of, is removed later; of the others nothing is lost: they can be renamed by hand.
"""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock
from typing import BinaryIO
from uuid import uuid4

OLD_S = 86_400.0  # nobody writes at a file any more to which nothing was added for so long, whatever the clocks say
_PART = re.compile(r"\..+\.[0-9a-f]{32}\.part", re.DOTALL)
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

    def reject(self) -> Path:
        """It is no answer: set aside, under the name that is returned."""
        self._file.close()
        aside = self._path.with_suffix(".rejected")
        with suppress(OSError):
            self._path.rename(aside)
        return aside

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


def remove_old_parts(folder: Path) -> None:
    """What processes left behind that were killed while they wrote."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _PART.fullmatch(entry.name):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < time.time() - OLD_S:
                        Path(entry.path).unlink()


def _sync(folder: Path) -> None:
    """A name is on the disk once its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
