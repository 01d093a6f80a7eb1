"""The caller's request as the operation's content and attachments. Raises RequestRefused and Unmappable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from adapters.soap.codec.attachment import Attachment
from adapters.soap.codec.media_types import media_type
from adapters.soap.codec.multipart import Part, root_and_rest, split_parts
from adapters.soap.codec.parts_reader import BadMultipart
from adapters.soap.mapping import WITHOUT_BODY
from gateway.api.errors import RequestRefused
from gateway.api.exchange import Exchange
from gateway.http.exact_json import BadJson, load_json

_JSON: Final = frozenset(("", "application/json", "text/json"))


@dataclass(slots=True)
class Incoming:
    """`value` is the parsed body; strings "cid:ID" that name a part of the message are Attachments in it."""

    value: object
    attachments: dict[str, Part] = field(default_factory=dict)
    referred: set[str] = field(default_factory=set)  # parts that are still to come


def read_request(exchange: Exchange, body: bytes) -> Incoming:
    """Parse the body: JSON, or JSON with attachments as multipart/related or multipart/form-data."""
    content_type = (exchange.request.headers.get(b"content-type") or b"").decode("latin-1")
    if not body and exchange.request.method in WITHOUT_BODY:
        return Incoming({})
    return read_message(content_type, body)


def read_message(content_type: str, body: bytes) -> Incoming:
    """A message of the JSON side, whoever sent it."""
    kind = media_type(content_type)
    if kind in _JSON or kind.endswith("+json"):
        return Incoming(_json(body))
    if kind == "multipart/related":
        root, rest = root_and_rest(_parts(body, content_type), content_type)
        return Incoming(_attached(_json(root.content), set(rest)), rest)
    if kind == "multipart/form-data":
        return _form(_parts(body, content_type))
    raise RequestRefused(
        415, "soap.media-type", "Send application/json, or multipart/related with JSON as its first part."
    )


def read_streamed(root: Part) -> Incoming:
    """The first part of a message whose other parts are still on their way: every "cid:ID" has to be one of them."""
    incoming = Incoming(_json(root.content))
    incoming.value = _attached(incoming.value, None, incoming.referred)
    return incoming


def _json(body: bytes) -> object:
    try:
        return load_json(body)
    except BadJson as exc:
        raise RequestRefused(
            400, "soap.bad-json", f"This is not JSON that can be used: {exc}; check the body."
        ) from exc


def _parts(body: bytes, content_type: str) -> list[Part]:
    try:
        parts = split_parts(body, content_type)
        if not parts:
            raise BadMultipart("the multipart message is empty")
        return parts
    except BadMultipart as exc:
        raise RequestRefused(
            400, "soap.bad-multipart", f"The body cannot be taken apart: {exc}; check its boundary and parts."
        ) from exc


def _form(parts: list[Part]) -> Incoming:
    """Fields by name: JSON parts as values (one named `$` is the whole content), texts as strings, files as attachments."""
    content: dict[str, object] = {}
    attachments: dict[str, Part] = {}
    for part in parts:
        if part.media_type == "application/json" and part.name == "$":
            whole = _json(part.content)
            content = {**whole, **content} if isinstance(whole, dict) else content
        elif part.media_type == "application/json":
            content[part.name] = _json(part.content)
        elif "content-type" not in part.headers or part.media_type == "text/plain":
            content[part.name] = part.content.decode("utf-8", "replace")
        else:
            attachments[part.name] = part
            content.setdefault(part.name, f"cid:{part.name}")
    return Incoming(_attached(content, set(attachments)), attachments)


def _attached(value: object, ids: set[str] | None, found: set[str] | None = None) -> object:
    """The value with Attachments for strings that name one of `ids`, or any; those are added to `found`."""
    if type(value) is str:
        if not value.startswith("cid:") or (ids is not None and value[4:] not in ids):
            return value
        if found is not None:
            found.add(value[4:])
        return Attachment(value[4:])
    if type(value) is list:
        return [_attached(entry, ids, found) for entry in value]
    if type(value) is dict:
        return {key: _attached(entry, ids, found) for key, entry in value.items()}
    return value
