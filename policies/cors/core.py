"""Which origins, methods and headers the CORS protocol lets through (Fetch §3.3). Knows nothing of exchanges."""

from __future__ import annotations

import re
from collections.abc import Collection

_TOKENS = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
_LONGEST_LIST = 4096  # octets of Access-Control-Request-Headers; browsers send the names a script really sets


class Origins:
    """A set of origins; wildcards stand for one or more labels."""

    __slots__ = ("_exact", "_suffixes", "any")

    def __init__(self, origins: Collection[str]) -> None:
        self.any = "*" in origins
        self._exact = frozenset(origin.encode() for origin in origins if "*" not in origin)
        # "https://*.example.com" -> ("https://", ".example.com")
        parts = (origin.encode().partition(b"*") for origin in origins if origin != "*" and "*" in origin)
        self._suffixes = tuple((scheme, suffix) for scheme, _, suffix in parts)

    def admits(self, origin: bytes) -> bool:
        """Compared byte for byte: browsers write origins in one form only (RFC 6454 §6.2)."""
        if self.any or origin in self._exact:
            return True
        for scheme, suffix in self._suffixes:
            if origin.startswith(scheme) and origin.endswith(suffix):
                labels = origin[len(scheme) : len(origin) - len(suffix)]
                # only labels before the domain: no ":" or "/" or "@" that would make another host of it
                if labels and re.fullmatch(rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", labels):
                    return True
        return False


def requested_names(value: bytes) -> list[bytes] | None:
    """The lower-case names in Access-Control-Request-Headers; None when it is no list of names."""
    if not value:
        return []
    if len(value) > _LONGEST_LIST or not _TOKENS.fullmatch(value):
        return None
    return [name.strip(b" \t").lower() for name in value.split(b",")]
