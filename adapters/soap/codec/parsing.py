"""Bytes to XML that nobody has to fear: no DTD, no entities, no network, bounded depth. Knows nothing of SOAP.

libxml2 itself bounds depth (256), text nodes (10 MB) and names; what it would still accept is refused here.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from lxml import etree

# RFC 7303 §3.6: encodings a processor should know; anything else Python could decode (rot13, utf-7) is no XML encoding
_ENCODINGS: Final = re.compile(
    r"(?:utf-?8|us-ascii|ascii|utf-?16(?:le|be)?|utf-?32(?:le|be)?|iso-8859-(?:[1-9]|1[0-9])|latin-?1|windows-125[0-8]|cp125[0-8]"
    r"|koi8-[ru]|shift_jis|euc-jp|iso-2022-jp|gb2312|gbk|gb18030|big5|euc-kr|ibm037|cp037|ibm500|cp500|cp1140)",
    re.IGNORECASE,
)
_DECLARATION: Final = re.compile(
    r"""\s*<\?xml\s+version\s*=\s*["'][^"']*["'](?:\s+encoding\s*=\s*["']([^"'<>]*)["'])?[^<>]*\?>"""
)
_UTF8: Final = frozenset((None, "", "utf-8", "utf8", "us-ascii", "ascii"))
_MARKS: Final = (
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


MAX_TEXT: Final = 10_000_000  # octets of one text: libxml2's own bound, seen here before it has read so far
MAX_PROLOG: Final = (
    200  # comments and instructions before the root; looking through more costs more than they are worth
)


class NotXml(ValueError):
    """The bytes are no XML, or XML of a kind that is refused. The message holds none of them."""


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,  # a comment in the midst of a value must not cut it in two
        remove_pis=True,
        strip_cdata=True,
        collect_ids=False,
    )


_PARSER: Final = _parser()


def parse(body: bytes, charset: str | None = None, *, parser: etree.XMLParser | None = None) -> etree._Element:
    """The root element. `charset` is the Content-Type's; a byte-order mark beats it, it beats the declaration (RFC 7303 §3.2).

    Raises NotXml.
    """
    encoding = _encoding(body, charset)
    if encoding is not None:
        body = _transcode(body, encoding)
    elif body[:3] == codecs.BOM_UTF8:
        body = body[3:]
    if len(body) > MAX_TEXT and _has_huge_text(body):
        raise NotXml("has a text that is longer than can be held")
    if b"<!DOCTYPE" in body and _has_doctype(body):
        raise NotXml("has a document type declaration, which is refused")
    try:
        return etree.fromstring(body, parser or _PARSER)
    except etree.XMLSyntaxError as exc:
        line, column = exc.position
        raise NotXml(f"is not well-formed XML (line {line}, column {column})") from exc
    except ValueError as exc:
        raise NotXml("is not well-formed XML") from exc


def _encoding(body: bytes, charset: str | None) -> str | None:
    """The encoding to decode from, or None for UTF-8, which libxml2 reads as it is."""
    if not body.startswith(b"<"):
        for mark, name in _MARKS:
            if body.startswith(mark):
                return name
    if charset is None:
        if body[:4] == b"<\0?\0":  # XML 1.0 appendix F: UTF-16 without a mark
            return "utf-16-le"
        if body[:4] == b"\0<\0?":
            return "utf-16-be"
        declaration = _DECLARATION.match(body[:256].decode("latin-1"))
        charset = declaration[1] if declaration else None
    if charset is None or charset.lower() in _UTF8:
        return None
    if not _ENCODINGS.fullmatch(charset):
        raise NotXml("is in an encoding that is not supported")
    return charset


def _transcode(body: bytes, encoding: str) -> bytes:
    try:
        text = body.decode(encoding)
    except (UnicodeDecodeError, LookupError) as exc:
        raise NotXml(f"does not decode as {encoding.lower()}") from exc
    declaration = _DECLARATION.match(text)
    if declaration:
        text = text[declaration.end() :]
    return text.lstrip("\ufeff").encode("utf-8", "surrogatepass")


def _has_doctype(body: bytes) -> bool:
    """Whether the prolog holds a DOCTYPE; inside comments and CDATA sections the word is harmless."""
    position = 0
    for _ in range(MAX_PROLOG):
        position = body.find(b"<", position)
        if body.startswith(b"<!--", position):
            end = body.find(b"-->", position + 4)
        elif body.startswith(b"<?", position):
            end = body.find(b"?>", position + 2)
        else:
            return position >= 0 and body.startswith(b"<!DOCTYPE", position)
        if end < 0:
            return True  # an unfinished prolog: nothing good can follow
        position = end + 2
    return True


def _has_huge_text(body: bytes) -> bool:
    """Whether MAX_TEXT octets and more follow each other without any markup; such a run covers a multiple of MAX_TEXT."""
    for at in range(MAX_TEXT, len(body), MAX_TEXT):
        end = body.find(b"<", at)
        if (end if end >= 0 else len(body)) - body.rfind(b"<", 0, at) > MAX_TEXT:
            return True
    return False
