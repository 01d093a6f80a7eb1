"""What a call's file is called, and the pattern of its answer: `drop` of an upstream, filled in. Touches no file.

Beside the usual placeholders there are {file.unique}, 32 characters that no other call gets; {file.date} and {file.time},
UTC as 20260102 and 030405; in `answers` also {file.name} and {file.stem}, the written name whole and up to its last dot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import uuid4

from gateway.api.errors import RequestRefused
from gateway.api.exchange import Exchange
from gateway.api.messages import FileNames
from gateway.api.placeholder import Template, as_text
from gateway.api.settings.upstream import Drop, drop_templates

NamesOf: TypeAlias = Callable[[Exchange], FileNames]

LONGEST = 200  # characters: file systems have 255 octets, and ours are longer while they are written
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]*")


def of_drop(drop: Drop | None, *, judged: bool = False) -> NamesOf | None:
    """None where an upstream is no folder. `judged`: FileNames.judged."""
    if drop is None:
        return None
    name, answers = drop_templates(drop)

    def names_of(exchange: Exchange) -> FileNames:
        now = datetime.now(UTC)
        known = {"unique": uuid4().hex, "date": f"{now:%Y%m%d}", "time": f"{now:%H%M%S}"}
        written = _filled(name, exchange, known)
        if len(written) > LONGEST:
            raise _unnamed()
        if answers is None:
            return FileNames(written, None)
        known |= {"name": written, "stem": written.rpartition(".")[0] or written}
        return FileNames(written, _filled(answers, exchange, known), judged)

    return names_of


def _filled(template: Template, exchange: Exchange, known: Mapping[str, str]) -> str:
    """What is filled in can lead into no other folder, hide no file and match no other's."""
    parts = []
    for part in template.parts:
        text = part if isinstance(part, str) else as_text(part.lookup(exchange, known))
        if not isinstance(part, str) and not _SAFE.fullmatch(text):
            raise _unnamed()
        parts.append(text)
    return "".join(parts)


def _unnamed() -> RequestRefused:
    return RequestRefused(
        422, "drop.name", "No file's name can be made from what the call brings; check the parts of its path."
    )
