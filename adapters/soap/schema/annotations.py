"""Small readings of schema markup: documentation, booleans. Knows no components."""

from __future__ import annotations

from typing import Final

from lxml import etree

from adapters.soap.schema.model import XSD

_X: Final = f"{{{XSD}}}"


def is_true(text: str | None) -> bool:
    return text is not None and text.strip() in ("true", "1")


def doc_of(node: etree._Element) -> str:
    """The first documentation, on one line; partners read it in the OpenAPI document."""
    text = node.findtext(f"{_X}annotation/{_X}documentation")
    return " ".join(text.split())[:500] if text else ""
