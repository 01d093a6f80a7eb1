"""Which stored answer a request selects: Vary (RFC 9111 §4.1) and the content coding. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gateway.api.messages import Headers
from gateway.http.accept import coding_quality, parse_preferences
from gateway.http.fields import split_list

# Codings that are used because a caller named them; any other one was meant for whoever asked
_NEGOTIATED = frozenset((b"br", b"compress", b"dcb", b"dcz", b"deflate", b"gzip", b"x-compress", b"x-gzip", b"zstd"))


@dataclass(frozen=True, slots=True)
class Selector:
    """What a request must say to be answered by a stored answer."""

    fields: tuple[tuple[bytes, bytes | None], ...] = ()  # named by Vary, normalised; None: absent
    coding: bytes | None = None  # a coding that Vary says nothing of

    def selects(self, headers: Headers) -> bool:
        for name, value in self.fields:
            if normalised(name, headers) != value:
                return False
        return self.coding is None or _accepts(tuple(headers.get_all(b"accept-encoding")), self.coding)


ANY = Selector()
"""Of an answer that is for everyone who asks with its key."""


def selector_of(answer: Headers, request: Headers) -> Selector:
    """Of an answer to `request`."""
    names = sorted({name.lower() for value in answer.get_all(b"vary") for name in split_list(value)})
    fields = tuple((name, normalised(name, request)) for name in names)
    unsaid = None
    if b"accept-encoding" not in names:
        # an upstream that codes and forgets Vary: what is coded goes to nobody who did not ask for it
        coding = b",".join(answer.get_all(b"content-encoding"))
        if not _NEGOTIATED.isdisjoint(split_list(coding.lower())):
            unsaid = coding
    return Selector(fields, unsaid) if fields or unsaid else ANY


def normalised(name: bytes, headers: Headers) -> bytes | None:
    """RFC 9111 §4.1: fields combined, white space evened out; Accept-Encoding also by case, order and weights, Accept-Language by case.

    Languages keep their order: many upstreams take the first of equals, though RFC 9110 §12.5.4 promises nothing of it.
    """
    values = headers.get_all(name)
    if not values:
        return None
    if name == b"accept-encoding":
        return _codings(tuple(values))
    combined = b",".join(split_list(b",".join(values)))
    return combined.lower() if name == b"accept-language" else combined


@lru_cache(maxsize=1024)
def _codings(values: tuple[bytes, ...]) -> bytes:
    wanted = {preference.value: preference.quality for preference in parse_preferences(b",".join(values))}
    return ",".join(f"{coding};q={quality:g}" for coding, quality in sorted(wanted.items())).encode("latin-1")


@lru_cache(maxsize=1024)
def _accepts(values: tuple[bytes, ...], codings: bytes) -> bool:
    preferences = parse_preferences(b",".join(values))
    return all(
        coding_quality(preferences, coding.decode("latin-1").lower().removeprefix("x-")) > 0
        for coding in split_list(codings)
    )
