"""Faults for SOAP callers (1.1 §4.4, 1.2 part 1 §5.4): from a problem of the gateway, or an error of the upstream."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from adapters.soap.codec.envelope import NAMESPACES
from adapters.soap.codec.markup import escape_attribute, escape_text
from adapters.soap.schema.service_model import Version
from gateway.api.messages import Headers, Response

MEDIA: Final[dict[Version, bytes]] = {
    "1.1": b"text/xml; charset=utf-8",
    "1.2": b"application/soap+xml; charset=utf-8",
}
PROBLEM: Final = "urn:ietf:rfc:7807"  # RFC 9457 appendix B: problems in XML
_TWINS: Final = {"Client": "Sender", "Server": "Receiver"}
_STANDARD: Final[dict[Version, frozenset[str]]] = {
    "1.1": frozenset(("VersionMismatch", "MustUnderstand", "Client", "Server")),
    "1.2": frozenset(("VersionMismatch", "MustUnderstand", "DataEncodingUnknown", "Sender", "Receiver")),
}
# Statuses that HTTP itself acts on, before anybody looks at the envelope: who are you, not now, too long
_SPEAKING: Final = frozenset((401, 403, 407, 413, 415, 429, 503))
_UNWRITABLE: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fault_response(
    version: Version,
    status: int,
    code: str,
    reason: str,
    *,
    header: str = "",
    detail: str = "",
    declarations: str = "",
    target: str = "",
) -> Response:
    """`code` as in `faults` (Client.NotFound); `status` is what the answer would be without SOAP. `header`, `detail`: markup.

    SOAP 1.1 §6.2 has 500 for every fault; SOAP 1.2 part 2 §7.5.2.2 has 400 for the sender's.
    """
    segments = re.split(r"[./]", code)
    if version == "1.1":
        body = _fault_11(segments, reason, detail, target)
        plain = 500
    else:
        body = _fault_12(segments, status, reason, detail, target)
        plain = 400 if "<env:Value>env:Sender<" in body else 500
    blocks = f"<env:Header>{header}</env:Header>" if header else ""
    envelope = (
        f'<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="{NAMESPACES[version]}"{declarations}>'
        f"{blocks}<env:Body>{body}</env:Body></env:Envelope>"
    )
    fields = Headers([(b"content-type", MEDIA[version]), (b"cache-control", b"no-store")])
    return Response(status if status in _SPEAKING else plain, fields, envelope.encode())


def _fault_11(segments: list[str], reason: str, detail: str, target: str) -> str:
    twins = {twelve: eleven for eleven, twelve in _TWINS.items()}
    segments = [twins.get(segments[0], segments[0]), *segments[1:]]
    if segments[0] in _STANDARD["1.1"]:
        code = f"<faultcode>env:{'.'.join(segments)}</faultcode>"
    else:
        code = f'<faultcode xmlns:f="{escape_attribute(target)}">f:{".".join(segments)}</faultcode>'
    inner = f"<detail>{detail}</detail>" if detail else ""
    return f"<env:Fault>{code}<faultstring>{_text(reason)}</faultstring>{inner}</env:Fault>"


def _fault_12(segments: list[str], status: int, reason: str, detail: str, target: str) -> str:
    first = _TWINS.get(segments[0], segments[0])
    if first in _STANDARD["1.2"]:
        segments = segments[1:]
    else:
        first = "Sender" if status < 500 else "Receiver"
    subcodes = ""
    for name in reversed(segments):
        value = f'<env:Value xmlns:f="{escape_attribute(target)}">f:{name}</env:Value>'
        subcodes = f"<env:Subcode>{value}{subcodes}</env:Subcode>"
    inner = f"<env:Detail>{detail}</env:Detail>" if detail else ""
    return (
        f"<env:Fault><env:Code><env:Value>env:{first}</env:Value>{subcodes}</env:Code>"
        f'<env:Reason><env:Text xml:lang="en">{_text(reason)}</env:Text></env:Reason>{inner}</env:Fault>'
    )


def code_for(status: int, faults: Mapping[str, int]) -> str:
    """`faults` read backwards: the first code that has this status, else whose fault it is."""
    found = next((code for code, mapped in faults.items() if mapped == status), None)
    return found or ("Client" if 400 <= status < 500 else "Server")


def problem_detail(problem: Mapping[str, object]) -> str:
    """A problem of the gateway as markup (RFC 9457 appendix B)."""
    members = "".join(
        f"<{name}>{_text(str(problem[name]))}</{name}>"
        for name in ("type", "title", "status", "detail", "code", "request_id", "pointer", "where")
        if problem.get(name) not in (None, "")
    )
    return f'<problem xmlns="{PROBLEM}">{members}</problem>'


def _text(text: str) -> str:
    return escape_text(_UNWRITABLE.sub("\ufffd", text))
