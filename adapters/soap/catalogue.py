"""Compiled WSDLs, each once for all routes that name it. The only part of the adapter that reads files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from adapters.soap.codec.shared import Shared
from adapters.soap.schema.documents import BadWsdl, Read
from adapters.soap.schema.services import compile_wsdl
from adapters.soap.work import off_the_loop

KEPT: Final = 32  # compiled WSDLs; a large one holds some 50 MB
MAX_REMOTE: Final = 32 * 2**20  # octets of one remote document


class Catalogue:
    """Remembers compiled WSDLs by the contents of all their files.

    By the octets themselves, not by a digest of them: what is read twice is mostly the same object, and then comparing costs
    nothing. Five hundred routes may name one WSDL of 5 MB.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, bool, bytes], tuple[dict[str, bytes | None], Shared]] = OrderedDict()

    def compiled(self, location: str, read_file: Callable[[str], bytes], *, remote: bool = False) -> Shared:
        """The WSDL at `location`. Raises BadWsdl, OSError when the file itself cannot be read."""
        read = reader(read_file, remote)
        root = read(location)
        key = (location, remote, root)
        with self._lock:  # two routes that name one WSDL wait for one compilation
            known = self._known.get(key)
            if known is not None and all(_contents(read, file) == octets for file, octets in known[0].items()):
                self._known.move_to_end(key)
                return known[1]
            wsdl = compile_wsdl(location, lambda path: root if path == location else read(path), remote=remote)
            imported = {file: _contents(read, file) for file in wsdl.documents.files if file != location}
            wsdl.documents.forget()
            shared = Shared(wsdl, off_the_loop)
            self._known[key] = (imported, shared)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            return shared


CATALOGUE: Final = Catalogue()


def _contents(read: Read, file: str) -> bytes | None:
    try:
        return read(file)
    except OSError:
        return None


def reader(read_file: Callable[[str], bytes], remote: bool) -> Read:
    def read(location: str) -> bytes:
        if not location.startswith(("http://", "https://")):
            return read_file(location)
        if not remote:
            raise OSError(f"{location} is on the network; allow it with remote: true")
        return _fetch(location)

    return read


def _fetch(url: str) -> bytes:
    """Only ever while a configuration is being compiled, off the event loop."""
    import httpx  # noqa: PLC0415  # 7 MiB, for what few routes do

    try:
        with httpx.stream("GET", url, timeout=10.0, follow_redirects=False) as response:
            if response.status_code != 200:
                raise OSError(f"{url} answered {response.status_code}")
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_REMOTE:
                    raise OSError(f"{url} is larger than {MAX_REMOTE} octets")
            return bytes(body)
    except httpx.HTTPError as exc:
        raise OSError(f"{url}: {type(exc).__name__}") from exc


__all__ = ["CATALOGUE", "BadWsdl", "Catalogue"]
