"""YAML 1.2 by its core schema, over PyYAML's composer. Knows no models, no files and no references.

PyYAML reads 1.1: `off` becomes False, `1:30` becomes 90, `010` becomes 8, and duplicate keys pass silently. So only its
composer is used, and its nodes are resolved here (YAML 1.2.2 §10.3.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from gateway.compile.source.places import at, path_of

WITH_LIBYAML: bool = yaml.__with_libyaml__

MAX_ALIASES = 16  # enough for a shared list or two; keeps what the aliases expand to small
MAX_DEPTH = 64  # the deepest block of the configuration is at about 12
_LIKELY_ALIAS = re.compile(r"(?:^|[\s\[{,:-])[&*][^\s\[\]{},]", re.MULTILINE)
_BRACKET = re.compile(r"[\[{}\]]")
_NESTING = {"[": 1, "{": 1, "]": -1, "}": -1}
_DEEP_BLOCK = re.compile(rf"^[ ?:-]{{{MAX_DEPTH // 2}}}", re.MULTILINE)  # every block level takes a column or more

_INT = re.compile(r"[-+]?[0-9]{1,80}|0o[0-7]{1,80}|0x[0-9a-fA-F]{1,80}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NUMERIC_START = frozenset("0123456789+-.")
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


class _Untagged:
    """Leaves implicit tags None, so that a written tag shows. PyYAML's resolver costs as much as its composer in C."""

    def resolve(self, kind: object, value: object, implicit: object) -> None:
        return None

    def descend_resolver(self, parent: object, index: object) -> None:
        return None

    def ascend_resolver(self) -> None:
        return None


class _PlainComposer(_Untagged, Reader, Scanner, Parser, Composer):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)


if WITH_LIBYAML:
    from yaml._yaml import CParser

    class _LibyamlComposer(_Untagged, CParser):
        pass

    _composer: Callable[[str], Any] = _LibyamlComposer
else:
    _composer = _PlainComposer


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the YAML itself. Line and column count from 1; `path` is where the reader was."""

    line: int
    column: int
    path: tuple[str | int, ...]
    message: str


@dataclass(slots=True)
class Document:
    """One file's root, as nodes and as values."""

    root: Node | None
    value: Any
    problems: list[Problem] = field(default_factory=list)


class Unreadable(Exception):
    """The text is no YAML document; nothing of it can be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _TooMuch(Exception):
    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.mark = mark


Interpolate = Callable[[str], str]
"""Resolves the references in a scalar. Raises ValueError."""


def load(text: str, interpolate: Interpolate) -> Document:
    """The one document in `text`. Raises Unreadable; everything else that is wrong is among the problems."""
    root = compose(text)
    if root is None:
        return Document(None, None)
    reader = _Values(root, interpolate)
    value = reader.value(root)
    return Document(root, value, reader.problems)


def compose(text: str) -> Node | None:
    """The node of the one document in `text`, None when it is empty. Raises Unreadable."""
    try:
        _refuse_bombs(text)
        composer = _composer(text)
        try:
            node: Node | None = composer.get_single_node()
        finally:
            composer.dispose()
        return node
    except _TooMuch as problem:
        raise Unreadable(Problem(problem.mark.line + 1, problem.mark.column + 1, (), str(problem))) from None
    except MarkedYAMLError as problem:
        raise Unreadable(_explained(problem, text)) from None
    except ReaderError as problem:
        line, column = _position(text, problem.position if isinstance(problem.position, int) else 0)
        raise Unreadable(Problem(line, column, (), f"not YAML: {problem.reason}")) from None
    except (YAMLError, UnicodeError) as problem:
        raise Unreadable(Problem(1, 1, (), f"not YAML: {problem}")) from None


def _refuse_bombs(text: str) -> None:
    """Nesting and aliases are counted before anything is built of them: the composer in C recurses without a bound."""
    brackets = max(accumulate(map(_NESTING.__getitem__, _BRACKET.findall(text))), default=0)
    aliased = ("&" in text or "*" in text) and _LIKELY_ALIAS.search(text)
    if aliased or brackets > MAX_DEPTH // 2 or _DEEP_BLOCK.search(text):
        depth = aliases = 0
        for event in _events(text):
            if isinstance(event, yaml.AliasEvent):
                aliases += 1
                if aliases > MAX_ALIASES:
                    raise _TooMuch(f"more than {MAX_ALIASES} aliases", event.start_mark)
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise _TooMuch(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1


def _events(text: str) -> Iterator[Any]:
    composer = _composer(text)
    try:
        while composer.check_event():
            yield composer.get_event()
    finally:
        composer.dispose()


_INDENTED = "compare how far it and the lines above are indented"
_HINTS = {  # libyaml says what its grammar misses, not what people write
    "did not find expected '-' indicator": f"; {_INDENTED}",
    "did not find expected key": f"; {_INDENTED}",
    "mapping values are not allowed in this context": f"; quote text that holds a colon and a blank, or {_INDENTED}",
    "could not find expected ':'": "; a key ends with a colon and a blank, here or in the lines above",
}


def _explained(problem: MarkedYAMLError, text: str) -> Problem:
    mark = problem.problem_mark or problem.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    what = problem.problem or problem.context or "cannot be read"
    if what == "but found another document":
        what = "another document begins here; a file holds one"
    lines = text.splitlines()
    around = lines[line] if line < len(lines) else ""
    if re.search(r"(?<!['\"])\$?\{[^}'\"]*\}?", around[: column + 1]):
        what += '; text that holds { } is quoted, as in "/customers/{id}" or "${env:NAME}"'
    elif re.match(r"[%@`]", around[column : column + 1]):
        what += "; text that begins with % @ or ` is quoted"
    elif "\t" in around[: column + 1]:
        what += "; indent with blanks, not tabs"
    elif problem.context and "quoted scalar" in problem.context and problem.context_mark:
        what += f"; the quote that was opened at line {problem.context_mark.line + 1} is not closed"
    else:
        what += _HINTS.get(what, "")
    return Problem(line + 1, column + 1, (), what)


def _position(text: str, offset: int) -> tuple[int, int]:
    line = text.count("\n", 0, offset)
    return line + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def scalar(text: str) -> Any:
    """What a plain scalar stands for, by the core schema. Raises ValueError for numbers beyond all use."""
    if text[:1] in _NUMERIC_START:
        if _INT.fullmatch(text):
            number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            if abs(number) >= 2**63:
                raise ValueError("larger than 64 bits hold; quote it if it is text")
            return number
        if _FLOAT.fullmatch(text):
            return float(text)
    return _CONSTANTS.get(text, text)


class _Values:
    """Nodes to values, collecting what is wrong on the way."""

    def __init__(self, root: Node, interpolate: Interpolate) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._interpolate = interpolate
        self._open: set[int] = set()  # collections that are being read: an alias to one of them has no end

    def value(self, node: Node) -> Any:
        if node.tag is not None:
            self._problem(node, f"tags are not used here ({node.tag})")
        if type(node) is ScalarNode:
            text: str = node.value
            if "${" in text:
                try:
                    return self._interpolate(text)
                except ValueError as problem:
                    self._problem(node, str(problem))
                    return text
            return text if node.style else self._plain(node)
        if id(node) in self._open:
            self._problem(node, "this alias contains itself")
            return None
        self._open.add(id(node))
        try:
            if type(node) is MappingNode:
                return self._mapping(node)
            return [self.value(item) for item in node.value]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if type(key_node) is not ScalarNode or key_node.tag is not None:
                self._problem(key_node, "a key is plain text; quote what begins with { [ or !")
                continue
            key = key_node.value if key_node.style else self._plain(key_node)
            if key in made:
                first = next(other for other, _ in node.value if other.value == key_node.value)
                line, column = at(first)
                self._problem(key_node, f"written twice; first at line {line}, column {column}")
                continue
            made[key] = self.value(value_node)
        return made

    def _plain(self, node: ScalarNode) -> Any:
        try:
            return scalar(node.value)
        except (ValueError, OverflowError) as problem:
            self._problem(node, f"not a number that can be used: {problem}")
            return node.value

    def _problem(self, node: Node, message: str) -> None:
        self.problems.append(Problem(*at(node), path_of(self._root, node) or (), message))
