"""Content that no schema describes (xs:any, xs:anyType), in a form that loses nothing.

An element is its text (a string) when it has neither attributes nor elements inside; else an object with
`@name` for attributes and `$` for its text or, in order, an array of texts and of objects with one member.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.lexical_form import WHITE
from adapters.soap.codec.markup import escape_attribute, escape_text, free_attribute, free_name
from adapters.soap.codec.shape import TEXT

if TYPE_CHECKING:
    from lxml import etree

    from adapters.soap.codec.writing import Writers

Emit = Callable[[str], object]


def write_named(writers: Writers, name: str, value: object, emit: Emit, process: str) -> None:
    """An element that a wildcard lets in: by its declaration where there is one, else as it is."""
    try:
        declared = writers.schema.elements.get(name) if process != "skip" else None
        if declared is not None:
            writers.element(declared)(value, emit)
            return
        if process == "strict":
            raise Misfit("no element of this name is declared")
        namespace, local = free_name(name)
        if value is None:
            value = {"@{http://www.w3.org/2001/XMLSchema-instance}nil": "true", TEXT: ""}
        if namespace:
            start, end = f'<w:{local} xmlns:w="{escape_attribute(namespace)}"', f"</w:{local}>"
        else:
            start, end = f"<{local}", f"</{local}>"
        write_anything(writers, value, emit, start, end)
    except Misfit as misfit:
        misfit.path.append(name)
        raise


def write_anything(writers: Writers, value: object, emit: Emit, start: str, end: str) -> None:
    if type(value) is dict:
        _write_object(writers, value, emit, start, end)
    elif type(value) is list:
        raise Misfit("an array is not expected here")
    else:
        emit(f"{start}>{escape_text(_text(value))}{end}")


def _text(value: object) -> str:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is Decimal and abs(value.adjusted()) < 1000:
        return format(value, "f")
    raise Misfit("a string, a number, a boolean or an object is expected")


def _write_object(writers: Writers, value: dict[str, Any], emit: Emit, start: str, end: str) -> None:
    emit(start)
    for number, (key, inner) in enumerate(value.items()):
        if key[:1] == "@":
            try:
                emit(free_attribute(number, key[1:], inner))
            except Misfit as misfit:
                misfit.path.append(key)
                raise
    emit(">")
    for key, inner in value.items():
        if key == TEXT:
            entries = inner if type(inner) is list else [inner]
            for index, entry in enumerate(entries):
                try:
                    _write_entry(writers, entry, emit)
                except Misfit as misfit:
                    if type(inner) is list:
                        misfit.path.append(index)
                    misfit.path.append(TEXT)
                    raise
        elif key[:1] != "@":
            # the friendly form: {"name": value}, in the order given
            for index, entry in enumerate(inner if type(inner) is list else [inner]):
                try:
                    write_named(writers, key, entry, emit, "lax")
                except Misfit as misfit:
                    if type(inner) is list:
                        misfit.path.insert(len(misfit.path) - 1, index)
                    raise
    emit(end)


def _write_entry(writers: Writers, entry: object, emit: Emit) -> None:
    if type(entry) is not dict:
        emit(escape_text(_text(entry)))
        return
    if len(entry) != 1:
        raise Misfit("an object with one member is expected")
    (name,) = entry
    write_named(writers, name, entry[name], emit, "lax")


def read_anything(element: etree._Element, skip_attributes: frozenset[str] = frozenset()) -> object:
    """The generic form of an element; write_anything takes it back."""
    attributes = {"@" + str(name): value for name, value in element.items() if name not in skip_attributes}
    if not len(element):
        text = element.text or ""
        return {**attributes, TEXT: text} if attributes else text
    content: list[object] = []
    if element.text and element.text.strip(WHITE):
        content.append(element.text)
    mixed = bool(content) or any(child.tail and child.tail.strip(WHITE) for child in element)
    if mixed:
        content = [element.text] if element.text else []
    for child in element:
        content.append({str(child.tag): read_anything(child)})
        if mixed and child.tail:
            content.append(child.tail)
    return {**attributes, TEXT: content}
