"""Readers of complex content: one plain sequence, any other content model, mixed text. Parts of Readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from adapters.soap.codec.answers import Answer
from adapters.soap.codec.errors import Odd
from adapters.soap.codec.lexical_form import WHITE
from adapters.soap.codec.reading_attributes import attributes_reader
from adapters.soap.codec.shape import ANY, TEXT, Shape
from adapters.soap.schema.model import ComplexType, local_name

if TYPE_CHECKING:
    from adapters.soap.codec.reading import ReadElement, Readers


def plain_reader(readers: Readers, kind: ComplexType, shape: Shape) -> ReadElement:
    attributes = attributes_reader(readers, kind)
    bounds = [(m.key, m.element.name, m.min, m.max) for m in shape.members.values()]
    required = [] if readers.encoded else [(key, tag) for key, tag, low, high in bounds if low and high == 1]
    counted = [] if readers.encoded else [bound for bound in bounds if bound[3] > 1]
    fill = [member.key for member in shape.members.values() if member.always]
    ordered = shape.ordered and not readers.encoded
    slots = {
        member.element.name: (
            index,
            member.key,
            member.repeating,
            readers.text(member.element),
            readers.element(member.element),
        )
        for index, member in enumerate(shape.members.values())
    }
    by_local = {local_name(tag): slot for tag, slot in slots.items()}
    encoded = readers.encoded
    has_attributes = bool(kind.attributes) or kind.any_attribute is not None

    def read(node: etree._Element, answer: Answer) -> object:
        value: dict[str, object] = {}
        if has_attributes or node.keys():
            attributes(node, answer, value)
        text = node.text
        if text and text.strip(WHITE):
            answer.deviate(node, "has text between its elements")
        position = 0
        for child in node:
            slot = slots.get(child.tag)
            if slot is None:
                slot = by_local.get(local_name(str(child.tag)))
                # SOAP 1.1 §5.1: encoded accessors are known by their local name, and servers differ in qualifying them
                if slot is None:
                    answer.deviate(child, "is not declared here")
                    continue
                if not encoded:
                    answer.deviate(child, "is declared, but in another namespace")
            index, key, repeating, to_value, read_child = slot
            if index >= position:
                position = index
            elif ordered:
                answer.deviate(child, "is out of the schema's order")
            if to_value is not None and (text := child.text) and not child.keys() and not len(child):
                try:
                    inner = to_value(text)
                except Odd as odd:
                    answer.deviate(child, odd.detail)
                    inner = text
            else:
                inner = read_child(child, answer)
            if not repeating:
                if key in value:
                    answer.deviate(child, "occurs more than once")
                else:
                    value[key] = inner
            elif key in value:
                value[key].append(inner)  # type: ignore[attr-defined]  # a list, made below
            else:
                value[key] = [inner]
            text = child.tail
            if text and text.strip(WHITE):
                answer.deviate(node, "has text between its elements")
        for key, tag in required:
            if key not in value:
                answer.deviate(node, f"lacks the required element {local_name(tag)}")
        for key in fill:
            if key not in value:
                value[key] = []
        for key, tag, low, high in counted:
            if not low <= len(value.get(key, ())) <= high:  # type: ignore[arg-type]  # a list
                answer.deviate(node, f"has too {'few' if low else 'many'} elements {local_name(tag)}")
        return value

    return read


def general_reader(readers: Readers, kind: ComplexType, shape: Shape) -> ReadElement:
    attributes = attributes_reader(readers, kind)
    slots = {
        tag: (member.key, member.repeating, readers.element(member.element)) for tag, member in shape.by_tag.items()
    }
    fill = [member.key for member in shape.members.values() if member.always]
    order, ordered = shape.order, not readers.encoded

    def read(node: etree._Element, answer: Answer) -> object:
        value: dict[str, object] = {}
        attributes(node, answer, value)
        if (node.text and node.text.strip(WHITE)) or any(child.tail and child.tail.strip(WHITE) for child in node):
            answer.deviate(node, "has text between its elements")
        codes: list[str] = []
        for child in node:
            tag = str(child.tag)
            code = order.code(tag)
            if code is None:
                answer.deviate(child, "is not declared here")
                continue
            codes.append(code)
            slot = slots.get(tag)
            if slot is None:
                entries = value.setdefault(ANY, [])
                entries.append({tag: readers.named(child, answer)})  # type: ignore[attr-defined]  # a list
                continue
            key, repeating, read_child = slot
            if repeating:
                entries = value.setdefault(key, [])
                entries.append(read_child(child, answer))  # type: ignore[attr-defined]  # a list
            elif key in value:
                answer.deviate(child, "occurs more than once")
            else:
                value[key] = read_child(child, answer)
        if ordered:
            check_order(node, shape, "".join(codes), answer)
        for key in fill:
            if key not in value:
                value[key] = []
        return value

    return read


def mixed_reader(readers: Readers, kind: ComplexType, shape: Shape) -> ReadElement:
    attributes = attributes_reader(readers, kind)
    slots = {tag: (member.key, readers.element(member.element)) for tag, member in shape.by_tag.items()}

    def read(node: etree._Element, answer: Answer) -> object:
        value: dict[str, object] = {}
        attributes(node, answer, value)
        content: list[object] = [node.text] if node.text else []
        codes: list[str] = []
        for child in node:
            tag = str(child.tag)
            code = shape.order.code(tag) if shape.content is not None else None
            if code is None:
                answer.deviate(child, "is not declared here")
            else:
                codes.append(code)
                slot = slots.get(tag)
                content.append(
                    {slot[0]: slot[1](child, answer)} if slot is not None else {tag: readers.named(child, answer)}
                )
            if child.tail:
                content.append(child.tail)
        if shape.content is not None:
            check_order(node, shape, "".join(codes), answer)
        value[TEXT] = content
        return value

    return read


def check_order(node: etree._Element, shape: Shape, codes: str, answer: Answer) -> None:
    if shape.content is None or shape.order.valid(codes):
        return
    wrong, expected = shape.order.first_wrong(codes)
    declared = [child for child in node if shape.order.code(str(child.tag)) is not None]
    if wrong < len(declared):
        answer.deviate(declared[wrong], f"does not fit here; the schema wants {expected or 'the end'}")
    else:
        answer.deviate(node, f"ends too early; the schema wants {expected}")
