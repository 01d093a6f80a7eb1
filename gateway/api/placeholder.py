"""Placeholders such as `{path.id}`: compiled once, filled from an exchange. Knows no policy and writes no header.

{path.NAME}       what {NAME} in the route's path matched, percent-decoded
{query.NAME}      the first parameter of that name, percent-decoded
{header.NAME}     the first field of that name
{claim.NAME}      a claim of the caller's token; NAME is the claim, else a path into it (realm_access.roles)
{consumer.NAME}   name (of a known consumer), tier, issuer, client_id, or label.KEY
{body./POINTER}   a member of the caller's JSON body, by RFC 6901 pointer
{{ and }}         a literal brace
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, unquote_to_bytes

import orjson

from gateway.api.exchange import Exchange

ROOTS = frozenset({"path", "query", "header", "claim", "consumer", "body"})
REQUEST_ROOTS = ROOTS - {"body"}
"""What is known without reading the body."""

Json: TypeAlias = object
Lookup: TypeAlias = Callable[[Exchange, Json], Json]
"""The placeholder's value, None when there is none. The second argument is the parsed body, where there is one."""

_CONSUMER_FIELDS = ("name", "tier", "issuer", "client_id", "label")
# One octet or more of VCHAR without "%", blanks only inside (RFC 9110 §5.5): goes into a field as it is.
_SAFE = re.compile(r"[!-$&-~](?:[ -$&-~]*[!-$&-~])?")
_KEPT = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_PARAMETER = re.compile(rb"(?:^|&)([^&=]*)(?:=([^&]*))?")


class PlaceholderError(ValueError):
    """The text is not a template. `position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (character {position + 1})")
        self.position = position


@dataclass(frozen=True, slots=True)
class Placeholder:
    root: str
    name: str
    lookup: Lookup


@dataclass(frozen=True, slots=True)
class Template:
    """Text with placeholders; `parts` alternate freely between literals and placeholders."""

    source: str
    parts: tuple[str | Placeholder, ...]

    @property
    def constant(self) -> str | None:
        """The text itself when it holds no placeholder."""
        if any(isinstance(part, Placeholder) for part in self.parts):
            return None
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def roots(self) -> frozenset[str]:
        return frozenset(part.root for part in self.parts if isinstance(part, Placeholder))

    def value(self, exchange: Exchange, body: Json = None) -> Json:
        """A single placeholder's own value with its type; else `text`. None when a placeholder has no value."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Placeholder):
            return self.parts[0].lookup(exchange, body)
        return self.text(exchange, body)

    def text(self, exchange: Exchange, body: Json = None) -> str | None:
        """The filled text; None when a placeholder has no value. An empty one counts as none."""
        filled: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                filled.append(part)
                continue
            piece = as_text(part.lookup(exchange, body))
            if not piece:
                return None
            filled.append(piece)
        return "".join(filled)

    def field_value(self, exchange: Exchange, body: Json = None) -> bytes | None:
        """The filled text as a header field's value; None when a placeholder has no value.

        Whatever is filled in, the result is one field: values but those of `{header.X}`, which are field values already, are
        percent-encoded as UTF-8 in control and non-ASCII characters, in "%" itself and in blanks at either end,
        so two different values never look the same.
        """
        filled = b""
        for part in self.parts:
            if isinstance(part, str):
                filled += part.encode("latin-1")
                continue
            found = part.lookup(exchange, body)
            piece = found if type(found) is str else as_text(found)
            if not piece:
                return None
            filled += piece.encode("latin-1") if part.root == "header" else _field_safe(piece)
        return filled


def compile_template(
    source: str, roots: Collection[str] = REQUEST_ROOTS, words: Mapping[str, Collection[str]] | None = None
) -> Template:
    """Compile `source`; placeholders may begin with one of `roots` only. Raises PlaceholderError.

    `words` are further roots, each with the names it has; their values stand in what is given for the body when it is filled.
    """
    words = words or {}
    parts: list[str | Placeholder] = []
    literal = ""
    position = 0
    while position < len(source):
        char = source[position]
        if char not in "{}":
            literal += char
            position += 1
        elif source[position : position + 2] == char * 2:
            literal += char
            position += 2
        elif char == "}":
            raise PlaceholderError("a '}' without its '{'; a literal brace is written twice: '}}'", position)
        else:
            end = source.find("}", position)
            if end < 0:
                raise PlaceholderError("a '{' that is never closed; a literal brace is written twice: '{{'", position)
            if literal:
                parts.append(literal)
                literal = ""
            parts.append(_placeholder(source[position + 1 : end], position, roots, words))
            position = end + 1
    if literal:
        parts.append(literal)
    return Template(source, tuple(parts))


def find_claim(claims: Mapping[str, Json], name: str) -> Json:
    """The claim called `name`; else `name` is a path of members. None when there is nothing."""
    found: Json = claims.get(name)
    if found is None and "." in name:
        found = claims
        for member in name.split("."):
            found = found.get(member) if isinstance(found, Mapping) else None
    return found


def as_text(value: Json) -> str:
    """A JSON value as plain text: lists joined by commas, objects as JSON, nothing as ""."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return ",".join(map(as_text, value))
    if isinstance(value, Mapping):
        return orjson.dumps(value, default=dict).decode()
    return str(value)


def _field_safe(text: str) -> bytes:
    if _SAFE.fullmatch(text):
        return text.encode("ascii")
    core = text.strip(" ")
    lead = len(text) - len(text.lstrip(" "))
    encoded = "%20" * lead + quote(core, safe=_KEPT, errors="surrogatepass") + "%20" * (len(text) - len(core) - lead)
    return encoded.encode("ascii")


def _placeholder(
    inner: str, position: int, roots: Collection[str], words: Mapping[str, Collection[str]]
) -> Placeholder:
    root, dot, name = inner.partition(".")
    if root in words:
        if name not in words[root]:
            known = ", ".join(f"{{{root}.{each}}}" for each in words[root])
            raise PlaceholderError(f"'{{{inner}}}' is no placeholder here; possible are {known}", position)
        return Placeholder(root, name, lambda exchange, body: body.get(name) if isinstance(body, Mapping) else None)
    if root not in roots:
        allowed = ", ".join(f"{{{each}.…}}" for each in sorted([*roots, *words]))
        near = difflib.get_close_matches(root, [*roots, *words], 1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise PlaceholderError(f"'{{{inner}}}' is no placeholder here; {hint}possible are {allowed}", position)
    if not dot or not name:
        raise PlaceholderError(f"'{{{inner}}}' needs a name after the dot, as in {{{root}.name}}", position)
    return Placeholder(root, name, _LOOKUPS[root](name, position))


def _path(name: str, position: int) -> Lookup:
    return lambda exchange, body: exchange.params.get(name)


def _query(name: str, position: int) -> Lookup:
    wanted = name.encode()

    def lookup(exchange: Exchange, body: Json) -> Json:
        for match in _PARAMETER.finditer(exchange.request.query):
            if _form_decode(match[1]) == wanted:
                return _form_decode(match[2] or b"").decode("utf-8", "replace")
        return None

    return lookup


def _form_decode(octets: bytes) -> bytes:
    return unquote_to_bytes(octets.replace(b"+", b" "))


def _header(name: str, position: int) -> Lookup:
    if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):  # RFC 9110 §5.1: a token
        raise PlaceholderError("not a header's name", position)
    wanted = name.lower().encode()

    def lookup(exchange: Exchange, body: Json) -> Json:
        found = exchange.request.headers.get(wanted)
        return None if found is None else found.decode("latin-1")

    return lookup


def _claim(name: str, position: int) -> Lookup:
    def lookup(exchange: Exchange, body: Json) -> Json:
        return None if exchange.principal is None else find_claim(exchange.principal.claims, name)

    return lookup


def _consumer(name: str, position: int) -> Lookup:
    attribute, dot, label = name.partition(".")
    if attribute not in _CONSUMER_FIELDS or bool(dot) != (attribute == "label") or (dot and not label):
        raise PlaceholderError(
            f"a consumer has no '{name}'; possible are name, tier, issuer, client_id and label.KEY", position
        )

    def lookup(exchange: Exchange, body: Json) -> Json:
        principal = exchange.principal
        if principal is None:
            return None
        if label:
            return None if principal.consumer is None else principal.consumer.labels.get(label)
        if attribute == "name":  # an unknown client that its issuer allows must not pass for a consumer of that name
            return None if principal.consumer is None else principal.consumer.name
        return getattr(principal, attribute) or None

    return lookup


def _body(name: str, position: int) -> Lookup:
    if not name.startswith("/") or re.search(r"~(?![01])", name):  # RFC 6901 §3
        raise PlaceholderError("a body's member is named by a JSON pointer, as in {body./order/id}", position)
    members = [part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/")]

    def lookup(exchange: Exchange, body: Json) -> Json:
        found = body
        for member in members:
            if isinstance(found, Mapping):
                found = found.get(member)
            elif isinstance(found, list) and re.fullmatch(r"0|[1-9][0-9]{0,8}", member):  # RFC 6901 §4
                found = found[int(member)] if int(member) < len(found) else None
            else:
                return None
        return found

    return lookup


_LOOKUPS: dict[str, Callable[[str, int], Lookup]] = {
    "path": _path,
    "query": _query,
    "header": _header,
    "claim": _claim,
    "consumer": _consumer,
    "body": _body,
}
