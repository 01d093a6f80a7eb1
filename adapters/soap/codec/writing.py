"""JSON values to XML text, compiled from the schema: one function per type, constant tags, no tree in between.

Order, cardinality, names and namespaces come from the schema alone; JSON decides values only. Every failure is a
Misfit that points at the member.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from adapters.soap.codec.attachment import Attachment, include
from adapters.soap.codec.compiling import MayCompile, NotCompiled
from adapters.soap.codec.content import write_content
from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.generic import write_anything
from adapters.soap.codec.lexical import compile_lexical, equals, family
from adapters.soap.codec.lexical_form import Lexical
from adapters.soap.codec.markup import Prefixes, escape_text, write_qname
from adapters.soap.codec.naming import attribute_keys, polymorphic, type_names
from adapters.soap.codec.shape import TEXT, TYPE, is_bare, shape_of
from adapters.soap.codec.writing_types import array_writer, attributes_writer, plain_writer, simple_content_writer
from adapters.soap.schema.model import AnyType, ComplexType, Element, SimpleType, local_name
from adapters.soap.schema.schema import Schema

Emit = Callable[[str], object]
WriteType = Callable[[object, Emit, str, str], None]
"""Takes the value, where text goes, and the tag's start (`<n0:Name`) and end (`</n0:Name>`)."""
WriteElement = Callable[[object, Emit], None]
WriteText = Callable[[object], str]
Unknown = Literal["reject", "drop"]

NIL: Final = ' xsi:nil="true"'
_ABSENT: Final = object()


@dataclass(slots=True)
class TypeWriter:
    """The writer of one type; types may be recursive, so what refers to one goes through this."""

    write: WriteType


class Writers:
    """All writers of one schema. `encoded` is the use of rpc/encoded: xsi:type everywhere, arrays as soapenc:Array."""

    def __init__(
        self,
        schema: Schema,
        prefixes: Prefixes,
        may_compile: MayCompile,
        *,
        unknown: Unknown = "reject",
        encoded: bool = False,
    ) -> None:
        self.schema = schema
        self._may_compile = may_compile
        self.prefixes = prefixes
        self.unknown = unknown
        self.encoded = encoded
        self._types: dict[AnyType, TypeWriter] = {}
        self._elements: dict[Element, WriteElement] = {}
        self._lexicals: dict[SimpleType, Lexical] = {}
        self._cold: deque[AnyType] = deque()

    # --- entry points --------------------------------------------------------------------------------------

    def element(self, element: Element) -> WriteElement:
        write = self._elements.get(element)
        if write is None:
            write = self._elements[element] = self._element(element)
        return write

    def type(self, kind: AnyType) -> TypeWriter:
        """The type's writer; it is compiled when it is first used, or by warm().

        A large schema's types all refer to each other: compiling ahead what one operation reaches takes seconds and
        most of it is never used. Two threads may compile the same type; either result serves.
        """
        known = self._types.get(kind)
        if known is not None:
            return known

        def first(value: object, emit: Emit, start: str, end: str) -> None:
            if not self._may_compile():
                raise NotCompiled
            made.write = self._compile(kind)
            made.write(value, emit, start, end)

        made = TypeWriter(first)
        self._types[kind] = made
        self._cold.append(kind)
        return made

    def lexical(self, kind: SimpleType) -> Lexical:
        lexical = self._lexicals.get(kind)
        if lexical is None:
            lexical = self._lexicals[kind] = compile_lexical(kind, "string")
        return lexical

    def warm(self, limit: int) -> None:
        """Compile up to `limit` types ahead of their first use, those nearest to what was asked for first."""
        while self._cold and limit:
            kind = self._cold.popleft()
            if kind in self._types:
                self._types[kind].write = self._compile(kind)
                limit -= 1

    # --- elements ------------------------------------------------------------------------------------------

    def _element(self, element: Element) -> WriteElement:
        tag = self.prefixes.qualified(element.name)
        kind = element.type
        nil = f"<{tag}{NIL}/>" if element.nillable or self.encoded else None
        start, end = f"<{tag}", f"</{tag}>"
        choices = type_names(self.schema, kind) if polymorphic(self.schema, kind) else None
        if choices is None and isinstance(kind, SimpleType) and not self.encoded:
            return self._leaf(element, kind, start, end, nil)
        typed = self._typed(kind)
        inner = self.type(kind)
        abstract = isinstance(kind, ComplexType) and kind.abstract
        own_name = local_name(kind.name)
        nillable = nil is not None
        needed = (
            []
            if isinstance(kind, SimpleType)
            else [attribute_keys(kind)[n] for n, a in kind.attributes.items() if a.required]
        )
        if needed:  # nil or not, required attributes are required (XSD 1.0 part 1 §3.4.4)
            nil = None

        def write(value: object, emit: Emit) -> None:
            if value is None:
                if nil is None:
                    if nillable:
                        raise Misfit(f'null needs its attributes beside it: {{"{needed[0]}": …, "{TEXT}": null}}')
                    raise Misfit("null is not allowed here; leave the member out")
                emit(nil)
                return
            if type(value) is dict:
                if TYPE in value:
                    self._write_as(value, emit, start, end, choices, kind, own_name)
                    return
                if nillable and value.get(TEXT, _ABSENT) is None:
                    self._write_nil(value, emit, start, kind)
                    return
            if abstract:
                names = ", ".join(sorted(name for name, other in (choices or {}).items() if not _abstract(other))[:12])
                raise Misfit(f"the type must be named here, in {TYPE}: one of {names or '(none)'}")
            inner.write(value, emit, start + typed, end)

        return write

    def leaf(self, element: Element) -> tuple[str, WriteText, str] | None:
        """For an element that is text between two tags whatever its value, unless that is null; None for all others."""
        kind = element.type
        if self.encoded or element.fixed is not None or not isinstance(kind, SimpleType):
            return None
        lexical = self.lexical(kind)
        if lexical.qname or _binary(kind) or polymorphic(self.schema, kind):
            return None
        tag = self.prefixes.qualified(element.name)
        return f"<{tag}>", lexical.write if lexical.plain else _escaped(lexical.write), f"</{tag}>"

    def _leaf(self, element: Element, kind: SimpleType, start: str, end: str, nil: str | None) -> WriteElement:
        lexical = self.lexical(kind)
        to_text, plain, fixed, opening = lexical.write, lexical.plain, element.fixed, start + ">"
        binary = _binary(kind)
        is_fixed = None if fixed is None else equals(kind, fixed)

        def write(value: object, emit: Emit) -> None:
            if value is None:
                if nil is None:
                    raise Misfit("null is not allowed here; leave the member out")
                emit(nil)
                return
            text = to_text(value)
            emit(opening + (text if plain else escape_text(text)) + end)

        def write_special(value: object, emit: Emit) -> None:
            if type(value) is Attachment and binary:
                emit(include(start, end, value))
            elif lexical.qname and value is not None:
                emit(write_qname(start, end, to_text(value)))
            elif fixed is not None and is_fixed is not None and value is not None:
                if not is_fixed(to_text(value)):
                    raise Misfit(f"has the fixed value {fixed}")
                emit(opening + escape_text(fixed) + end)
            else:
                write(value, emit)

        return write_special if binary or lexical.qname or fixed is not None else write

    def _typed(self, kind: AnyType) -> str:
        """What an encoded element says of its type (SOAP 1.1 §5.1); nothing in literal use."""
        if not self.encoded or not kind.name or kind is self.schema.anything:
            return ""
        if isinstance(kind, ComplexType) and kind.array_item is not None:
            return ""  # the array's own writer says it
        return f' xsi:type="{self.prefixes.qualified(kind.name)}"'

    def _write_as(
        self,
        value: dict[str, object],
        emit: Emit,
        start: str,
        end: str,
        choices: dict[str, AnyType] | None,
        declared: AnyType,
        own_name: str,
    ) -> None:
        """A value that names its type. For a simple type it is {"@xsi:type": …, "$": …}."""
        named = value[TYPE]
        kind = choices.get(named) if choices is not None and type(named) is str else None
        if kind is None and named == own_name and own_name:
            kind = declared
        if kind is None or _abstract(kind):
            names = ", ".join(sorted(name for name, other in (choices or {}).items() if not _abstract(other))[:12])
            raise Misfit(f"is not one of the types allowed here: {names or own_name}", TYPE)
        rest: object = {key: inner for key, inner in value.items() if key != TYPE}
        typed = "" if kind is declared and not self.encoded else f' xsi:type="{self.prefixes.qualified(kind.name)}"'
        if isinstance(kind, SimpleType) or is_bare(kind):
            assert isinstance(rest, dict), "made above"
            if set(rest) != {TEXT}:
                raise Misfit(f'a value of a simple type is written as {{"{TYPE}": …, "{TEXT}": …}}')
            rest = rest[TEXT]
        self.type(kind).write(rest, emit, start + typed, end)

    def _write_nil(self, value: dict[str, object], emit: Emit, start: str, kind: AnyType) -> None:
        """Nil with attributes: {"@a": …, "$": null}."""
        emit(start + NIL)
        used = attributes_writer(self, kind)(value, emit) if isinstance(kind, ComplexType) else 0
        if used != len(value) - 1 and self.unknown == "reject":
            raise Misfit(f"nothing but attributes stands beside a null {TEXT}")
        emit("/>")

    # --- types ---------------------------------------------------------------------------------------------

    def _compile(self, kind: AnyType) -> WriteType:
        if isinstance(kind, SimpleType):
            return self.simple(kind)
        if kind is self.schema.anything:
            return lambda value, emit, start, end: write_anything(self, value, emit, start, end)
        if kind.array_item is not None:
            return array_writer(self, kind, kind.array_item)
        if kind.text is not None:
            return simple_content_writer(self, kind, kind.text)
        shape = shape_of(kind)
        if shape.plain and not kind.mixed:
            return plain_writer(self, kind, shape)
        attributes = attributes_writer(self, kind)
        for member in shape.members.values():
            self.element(member.element)

        def write(value: object, emit: Emit, start: str, end: str) -> None:
            if type(value) is not dict:
                raise Misfit("an object is expected")
            emit(start)
            used = attributes(value, emit)
            emit(">")
            write_content(self, kind, shape, value, emit, used)
            emit(end)

        return write

    def simple(self, kind: SimpleType) -> WriteType:
        lexical = self.lexical(kind)

        def write(value: object, emit: Emit, start: str, end: str) -> None:
            if type(value) is Attachment:
                emit(include(start, end, value))
                return
            text = lexical.write(value)
            emit(write_qname(start, end, text) if lexical.qname else f"{start}>{escape_text(text)}{end}")

        return write

    def check_unknown(self, value: dict[str, object], known: set[str]) -> None:
        """Raise for a member that the schema does not know, unless such are dropped."""
        if self.unknown == "drop":
            return
        for key in value:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                raise Misfit(f"unknown member{f'; did you mean {close[0]}?' if close else ''}", key)


def _binary(kind: SimpleType) -> bool:
    """Whether an attachment may stand for its octets."""
    return kind.variety == "atomic" and family(kind.builtin) == "base64Binary"


def _escaped(write: WriteText) -> WriteText:
    return lambda value: escape_text(write(value))


def _abstract(kind: AnyType) -> bool:
    return isinstance(kind, ComplexType) and kind.abstract
