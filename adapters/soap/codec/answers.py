"""One answer while it is being read: how strictly, what was overlooked, what it refers to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from adapters.soap.codec.errors import Deviation
from adapters.soap.schema.model import local_name, split

ENVELOPES: Final = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")


@dataclass(slots=True)
class Answer:
    """One document being read: how strictly, what was overlooked, what its references and attachments are."""

    strict: bool = True
    overlooked: list[str] = field(default_factory=list)
    ids: dict[str, etree._Element] = field(default_factory=dict)
    attachment: Callable[[str], object] | None = None  # by Content-ID; what stands for the octets in JSON
    references: int = 0

    def deviate(self, element: etree._Element, detail: str) -> None:
        if self.strict:
            raise Deviation(detail, path_of(element))
        if len(self.overlooked) < 100:
            self.overlooked.append(f"{path_of(element)}: {detail}")


def path_of(element: etree._Element) -> str:
    """`GetOrderResponse/Lines/Line[2]/Price`, from inside the Body."""
    steps: list[str] = []
    current: etree._Element | None = element
    while current is not None and split(str(current.tag))[0] not in ENVELOPES:
        tag = str(current.tag)
        before = sum(1 for _ in current.itersiblings(tag, preceding=True))
        after = before or any(True for _ in current.itersiblings(tag))
        steps.append(local_name(tag) + (f"[{before + 1}]" if after else ""))
        current = current.getparent()
    return "/".join(reversed(steps)) or local_name(str(element.tag))
