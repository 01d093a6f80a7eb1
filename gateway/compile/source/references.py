"""What a configuration file refers to outside itself: environment variables and files. Remembers what it was told.

`${env:NAME}`, `${env:NAME:-value}` and `${file:PATH}` stand inside scalars and are resolved after parsing, so that a secret
is never read as YAML. The value comes as a Secret that knows the reference it came from; `$${` is a literal `${`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from gateway.api.config import Secret
from gateway.compile.finding import suggestion

_REFERENCE = re.compile(r"\$(\$)?\{(?:(env):([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?|(file):([^}]+)|([^}]*))(\})?")
_MAX_FILE = 64 * 2**20  # the largest WSDLs known to us have 5 MB

Dependencies = Mapping[tuple[str, str], bytes | None]
"""("env" | "file", name) to a digest of what was found; None: nothing was there."""


def digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def read_whole(path: str | Path) -> bytes:
    """What is in a file. Raises OSError, also for what may never end or never begin: a pipe, a device."""
    kind = os.stat(path).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with open(path, "rb") as file:
        content = file.read(_MAX_FILE + 1)
    if len(content) > _MAX_FILE:
        raise OSError(errno.EFBIG, "larger than 64 MiB", str(path))
    return content


@dataclass(slots=True)
class Outside:
    """The environment and the files as one compilation sees them: each is looked at once."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _contents: dict[str, bytes | OSError] = field(default_factory=dict)
    _digests: dict[str, bytes | None] = field(default_factory=dict)

    def variable(self, name: str) -> str | None:
        return self.environment.get(name)

    def read(self, path: str) -> bytes:
        """Raises OSError."""
        found = self._contents.get(path)
        if found is None:
            try:
                found = read_whole(path)
            except OSError as problem:
                found = problem
            self._contents[path] = found
        if isinstance(found, OSError):
            raise found
        return found

    def forget(self) -> None:
        """Let go of what was read: the next compilation looks anew."""
        self._contents.clear()
        self._digests.clear()

    def state(self, kind: str, name: str) -> bytes | None:
        """Digest of what is there now, None for nothing."""
        if kind == "env":
            value = self.variable(name)
            return None if value is None else digest(value.encode("utf-8", "surrogateescape"))
        if name not in self._digests:
            try:
                self._digests[name] = digest(self.read(name))
            except OSError:
                self._digests[name] = None
        return self._digests[name]


class References:
    """What one configuration file refers to. A path is relative to the folder of the file that holds it."""

    def __init__(self, folder: Path, outside: Outside) -> None:
        self._folder = folder
        self._outside = outside
        self.used: dict[tuple[str, str], bytes | None] = {}
        self.files: dict[str, bytes | None] = {}  # digests by path; emptied by whoever wants to know those of one block

    def resolve(self, written: str) -> str:
        """The absolute path, so that resolving it again, as adapters' files are, changes nothing."""
        return os.path.abspath(self._folder / os.path.expanduser(written))

    def read(self, path: str) -> bytes:
        self.used[("file", path)] = self.files[path] = self._outside.state("file", path)
        return self._outside.read(path)

    def interpolate(self, text: str) -> str:
        """The text with its references resolved. Raises ValueError, with nothing of a secret in it."""
        found = False

        def replaced(match: re.Match[str]) -> str:
            nonlocal found
            escaped, env, name, with_default, default, file, path, _, closed = match.groups()
            if escaped:
                return match[0][1:]
            if closed is None:
                if env and "}" in text[match.end() :].partition("${")[0]:
                    raise ValueError(
                        f"after '{match[0]}' a closing brace or a default belongs: write ${{env:NAME}} or ${{env:NAME:-value}}; "
                        "a name is made of letters, digits and _"
                    )
                raise ValueError(f"'{match[0]}' has no closing brace")
            found = True
            if env:
                return self._variable(name, default if with_default else None)
            if file:
                return self._file(path)
            raise ValueError(
                "not a reference; write ${env:NAME}, ${env:NAME:-value} or ${file:PATH}, or $${ for a literal ${"
            )

        value = _REFERENCE.sub(replaced, text)
        return Secret(value, text) if found else value

    def _variable(self, name: str, default: str | None) -> str:
        value = self._outside.variable(name)
        self.used[("env", name)] = self._outside.state("env", name)
        if value:
            return value
        if default is not None:  # as in a shell, an empty variable takes the default too
            return default
        if value is not None:
            raise ValueError(f"the environment variable {name} is empty")
        raise ValueError(f"the environment variable {name} is not set{suggestion(name, self._outside.environment)}")

    def _file(self, written: str) -> str:
        path = self.resolve(written)
        try:
            value = self.read(path).decode("utf-8").rstrip("\r\n")
        except OSError as problem:
            raise ValueError(f"cannot read {path}: {problem.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8 text") from None
        if not value:
            raise ValueError(f"{path} is empty")
        return value
