"""Commands as octets (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/); hiredis does the work."""

from __future__ import annotations

from collections.abc import Callable

from hiredis import pack_command

Word = str | bytes | int | float

pack: Callable[[tuple[Word, ...]], bytes] = pack_command  # type: ignore[assignment]  # its stub knows pairs of one only
"""One command; text goes as UTF-8, a float with all its digits. 0.5 to 2.4 µs."""
