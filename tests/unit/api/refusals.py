"""Finds every problem code in the sources, with all that its `detail` can be. Reads the code, runs none of it.

What stands after a code, in a call or a tuple, is its detail. A name stands for what is assigned to it, or passed as it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_CODE = re.compile(r"[a-z…][a-z0-9_]*\.[a-z…][a-z0-9-…]*").fullmatch
# What looks like a code and is none: files, operations of stores, ASGI's messages, places in the schema, words of the log
_OTHER = re.compile(
    r".*\.(?:lua|txt|db|log|yaml|jsonl|example)|(?:limits|places|revocations)\..*|idempotency\.(?:claim|change|show|replayed)"
    r"|http\.(?:disconnect|request)|websocket\.(?:accept|close|connect|disconnect|send)"
    r"|(?:sluicegate|gateway\.demo|policies|policy|adapters|adapter).*|…\.…|realm_access\.roles"
    r"|streams\..*|oauth2\.no-answer-in-time|request\.plain-text|soap\.answer-deviates|retry\..*|upstream\.…|api_key\.…|oauth2\.…|uvicorn\.error"
).fullmatch
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str  # what is filled in at run time is "…"
    details: tuple[str, ...]  # none where nothing stands after the code: it is noted, or is no code; "" if unknown
    place: str


def refusals() -> list[Refusal]:
    paths = [path for folder in ("gateway", "policies", "adapters") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [found for path in paths for found in _Source(path).refusals()]


class _Source:
    def __init__(self, path: Path) -> None:
        self._path = path.relative_to(ROOT)
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._asked: set[ast.expr] = set()  # names that are being looked up: one may be assigned to itself
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}

    def refusals(self) -> Iterator[Refusal]:
        for node in ast.walk(self._tree):
            code = _text(node)
            if code is None or not _CODE(code) or _OTHER(code) or isinstance(self._parents.get(node), ast.JoinedStr):
                continue
            after = self._after(node)
            details = tuple(sorted(set(self._values(after)))) if after is not None else ()
            if not any(_CODE(each) for each in details):  # a list of codes
                yield Refusal(code, details, f"{self._path}:{node.lineno}")

    def _after(self, node: ast.AST) -> ast.expr | None:
        """The expression that follows in the same call or tuple; for a choice of codes, what follows the choice."""
        parent = self._parents[node]
        match parent:
            case ast.Call(args=siblings) | ast.Tuple(elts=siblings) if node in siblings[:-1]:
                return siblings[siblings.index(node) + 1]  # type: ignore[arg-type]
            case ast.IfExp():
                return self._after(parent)
        return None

    def _values(self, node: ast.expr) -> Iterator[str]:
        text = _text(node)
        if text is not None:
            yield text
        match node:
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                yield from (a + b for a in self._values(left) for b in self._values(right))
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._values(body)
                yield from self._values(orelse)
            case ast.Dict(values=values):
                for each in values:
                    yield from self._values(each)
            case ast.Subscript(value=value):
                yield from self._values(value)
            case ast.Call(func=ast.Name(id=name)):
                functions = [each for each in self._tree.body if isinstance(each, _FUNCTIONS) and each.name == name]
                returned = [
                    each.value for function in functions for each in ast.walk(function) if isinstance(each, ast.Return)
                ]
                yield from (value for each in returned if each is not None for value in self._values(each))
            case ast.Name(id=name) | ast.Attribute(attr=name):
                if node not in self._asked:
                    self._asked.add(node)
                    yield from [value for given in self._given(name, node) for value in self._values(given)] or [""]

    def _given(self, name: str, node: ast.expr) -> Iterator[ast.expr]:
        """All that a name may stand for: assigned beside its use, else in its function, else passed, else in the file."""
        function = self._function(node)
        parameters = [each.arg for each in function.args.args] if function else []
        nearest = (self._assigned(name, statement) for statement in self._beside(node))
        for found in (*nearest, self._assigned(name, function) if function else []):
            if found:
                yield from found
                return
        if function is not None and name in parameters:
            position = parameters.index(name) - (parameters[0] == "self")
            called = function.name
            if called == "__init__":
                called = _name_of(self._parents[function])
            yield from self._passed(called, position)
        else:
            yield from self._assigned(name, self._tree)

    def _beside(self, node: ast.AST) -> Iterator[ast.AST]:
        """The statements of the same block before this one, the nearest first."""
        while not isinstance(node, ast.stmt):
            node = self._parents[node]
        block = getattr(self._parents[node], "body", [])
        if node in block:
            yield from (each for each in reversed(block[: block.index(node)]) if isinstance(each, ast.Assign))

    def _function(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        while not isinstance(node, _FUNCTIONS):
            if node not in self._parents:
                return None
            node = self._parents[node]
        return node

    def _assigned(self, name: str, within: ast.AST) -> list[ast.expr]:
        return list(self._assignments(name, within))

    def _assignments(self, name: str, within: ast.AST) -> Iterator[ast.expr]:
        for node in ast.walk(within):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if _name_of(target) == name:
                        yield node.value
                    elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        pairs = zip(target.elts, node.value.elts, strict=True)
                        yield from (value for one, value in pairs if _name_of(one) == name)

    def _passed(self, function: str, position: int) -> Iterator[ast.expr]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and _name_of(node.func) == function and len(node.args) > position:
                yield node.args[position]


def _name_of(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.ClassDef(name=name):
            return name
    return ""


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(each) or "…" for each in values)
    return None
