"""Writers of complex types: attributes, simple content, one plain sequence, encoded arrays. Parts of Writers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.lexical import equals
from adapters.soap.codec.lexical_form import Qualified
from adapters.soap.codec.markup import escape_attribute, free_attribute, prefixed
from adapters.soap.codec.naming import attribute_keys
from adapters.soap.codec.shape import TEXT, Shape, is_bare
from adapters.soap.schema.model import XSD, ComplexType, Element, SimpleType, clark, split

if TYPE_CHECKING:
    from adapters.soap.codec.writing import Emit, WriteElement, Writers, WriteType

_ABSENT: Final = object()
_NO_LEAF: Final = ("", None, "")


def simple_content_writer(writers: Writers, kind: ComplexType, text_type: SimpleType) -> WriteType:
    attributes = attributes_writer(writers, kind)
    bare = is_bare(kind)
    content = writers.simple(text_type)

    def write(value: object, emit: Emit, start: str, end: str) -> None:
        if bare:
            content(value, emit, start, end)
            return
        if type(value) is not dict:
            raise Misfit(f'an object is expected: {{"{TEXT}": the value, "@name": an attribute}}')
        parts: list[str] = [start]
        used = attributes(value, parts.append)
        if TEXT not in value:
            raise Misfit("the required member is missing", TEXT)
        if used + 1 != len(value):
            writers.check_unknown(value, set(attribute_keys(kind).values()) | {TEXT})
        try:
            content(value[TEXT], emit, "".join(parts), end)
        except Misfit as misfit:
            misfit.path.append(TEXT)
            raise

    return write


def array_writer(writers: Writers, kind: ComplexType, item: Element) -> WriteType:
    """SOAP 1.1 §5.4.2. In literal use the array's accessor is written without the encoding's attributes."""
    write_item = writers.element(item)
    item_type = item.type
    name = writers.prefixes.qualified(item_type.name or clark(XSD, "anyType"))
    if isinstance(item_type, ComplexType) and item_type.array_item is not None and not item_type.name:
        name = writers.prefixes.qualified(item_type.array_item.type.name or clark(XSD, "anyType")) + "[]"

    def write(value: object, emit: Emit, start: str, end: str) -> None:
        if type(value) is not list:
            raise Misfit("an array is expected")
        if writers.encoded:
            emit(f'{start} xsi:type="enc:Array" enc:arrayType="{name}[{len(value)}]">')
        else:
            emit(start + ">")
        for index, entry in enumerate(value):
            try:
                write_item(entry, emit)
            except Misfit as misfit:
                misfit.path.append(index)
                raise
        emit(end)

    return write


def plain_writer(writers: Writers, kind: ComplexType, shape: Shape) -> WriteType:
    attributes = attributes_writer(writers, kind) if kind.attributes or kind.any_attribute is not None else None
    fields = [
        (
            member.key,
            0 if writers.encoded else member.min,
            member.max,
            member.repeating,
            writers.leaf(member.element) or _NO_LEAF,
            writers.element(member.element),
        )
        for member in shape.members.values()
    ]
    known = set(shape.members) | set(attribute_keys(kind).values())

    def write(value: object, emit: Emit, start: str, end: str) -> None:
        if type(value) is not dict:
            raise Misfit("an object is expected")
        if attributes is None:
            emit(start + ">")
            used = 0
        else:
            emit(start)
            used = attributes(value, emit)
            emit(">")
        key = ""
        try:
            for key, low, high, repeating, (opening, to_text, closing), write_element in fields:
                inner = value.get(key, _ABSENT)
                if inner is _ABSENT:
                    if low:
                        raise Misfit("the required member is missing")
                    continue
                used += 1
                if repeating:
                    _write_each(inner, low, high, write_element, emit)
                elif to_text is not None and inner is not None:
                    emit(f"{opening}{to_text(inner)}{closing}")
                else:
                    write_element(inner, emit)
        except Misfit as misfit:
            misfit.path.append(key)
            raise
        if used != len(value):
            writers.check_unknown(value, known)
        emit(end)

    return write


def attributes_writer(writers: Writers, kind: ComplexType) -> Callable[[dict[str, object], Emit], int]:
    keys = attribute_keys(kind)
    compiled = [
        (
            keys[name],
            f' {writers.prefixes.qualified(name)}="',
            writers.lexical(attribute.type),
            attribute.required,
            attribute.fixed,
            None if attribute.fixed is None else equals(attribute.type, attribute.fixed),
        )
        for name, attribute in kind.attributes.items()
    ]
    wildcard = kind.any_attribute
    known = set(keys.values())

    def write(value: dict[str, object], emit: Emit) -> int:
        used = 0
        for key, opening, lexical, required, fixed, is_fixed in compiled:
            inner = value.get(key, _ABSENT)
            if inner is _ABSENT:
                if required:
                    raise Misfit("the required attribute is missing", key)
                continue
            used += 1
            try:
                text = lexical.write(inner)
                if type(text) is Qualified:
                    declared, names = prefixed(text, f"q{used}a")
                    emit(f'{declared}{opening}{names}"')
                    continue
                if is_fixed is not None and fixed is not None:
                    if not is_fixed(text):
                        raise Misfit(f"has the fixed value {fixed}")
                    text = fixed
                emit(opening + (text if lexical.plain else escape_attribute(text)) + '"')
            except Misfit as misfit:
                misfit.path.append(key)
                raise
        if wildcard is not None:
            for key, inner in value.items():
                if key[:1] == "@" and key not in known and wildcard.allows(split(key[1:])[0]):
                    used += 1
                    try:
                        emit(free_attribute(used, key[1:], inner))
                    except Misfit as misfit:
                        misfit.path.append(key)
                        raise
        return used

    return write


def _write_each(values: object, low: int, high: int, write: WriteElement, emit: Emit) -> None:
    if type(values) is not list:
        raise Misfit("an array is expected")
    if not low <= len(values) <= high:
        raise Misfit(f"must have at least {low} items" if len(values) < low else f"must have at most {high} items")
    index = 0
    try:
        for value in values:
            write(value, emit)
            index += 1
    except Misfit as misfit:
        misfit.path.append(index)
        raise
