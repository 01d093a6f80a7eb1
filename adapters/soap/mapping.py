"""From the caller's request to the operation's content: by name, or by the configuration's `request`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl

from adapters.soap.codec.errors import Misfit
from adapters.soap.codec.shape import shape_of
from adapters.soap.paths import Step, place, resolve
from adapters.soap.schema.model import ComplexType, Element
from adapters.soap.schema.schema import Schema
from gateway.api.exchange import Exchange
from gateway.api.placeholder import ROOTS, Placeholder, Template, compile_template

WITHOUT_BODY: Final = frozenset(("GET", "HEAD"))


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of `request`: where its value goes, and where it comes from."""

    path: str
    steps: tuple[Step, ...]
    template: Template | None
    literal: object = None

    def value(self, exchange: Exchange, body: object) -> object:
        return self.literal if self.template is None else self.template.value(exchange, body)

    @property
    def pointer(self) -> str | None:
        """The JSON pointer into the caller's body, when the value comes from there as it is."""
        if self.template is None or len(self.template.parts) != 1:
            return None
        (part,) = self.template.parts
        return part.name if isinstance(part, Placeholder) and part.root == "body" else None


def compile_assignments(schema: Schema, root: Element, lines: Mapping[str, object]) -> tuple[Assignment, ...]:
    """Raises BadPath and PlaceholderError, each for the first line that is wrong."""
    return tuple(_assignment(path, resolve(schema, root, path), value) for path, value in lines.items())


def _assignment(path: str, steps: tuple[Step, ...], value: object) -> Assignment:
    if isinstance(value, str):
        template = compile_template(value, ROOTS)
        constant = template.constant
        return Assignment(path, steps, None, constant) if constant is not None else Assignment(path, steps, template)
    return Assignment(path, steps, None, _exact(value))


def _exact(value: object) -> object:
    """YAML's floats as the decimals that were written."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {str(key): _exact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(inner) for inner in value]
    return value


def assign(assignments: Iterable[Assignment], exchange: Exchange, body: object) -> dict[str, object]:
    """The content that the assignments make. A placeholder without a value leaves its element out."""
    content: dict[str, object] = {}
    for assignment in assignments:
        value = assignment.value(exchange, body)
        if value is not None:
            place(content, assignment.steps, value)
    return content


def blame(assignments: Iterable[Assignment], misfit: Misfit, exchange: Exchange, body: object) -> tuple[str, str]:
    """Pointer and detail for the caller: the member of the body that an element's value came from, or what else it was."""
    wanted = [str(step) for step in reversed(misfit.path)]
    names = [step for step in wanted if not step.isdigit()]
    best: Assignment | None = None
    for assignment in assignments:
        keys = [step.key for step in assignment.steps]
        shared = min(len(keys), len(names))
        if keys[:shared] == names[:shared] and (best is None or len(keys) > len(best.steps)):
            best = assignment
    if best is None:
        return "", f"{'/'.join(names)}: {misfit.detail}"
    if best.pointer is not None:
        rest = _after(wanted, len(best.steps))
        if rest and best.steps[-1].repeating and not isinstance(best.value(exchange, body), list):
            rest = rest[1:]  # the one item that place() made an array of
        return best.pointer + "".join(f"/{step}" for step in rest), misfit.detail
    return "", f"{best.path}, from {best.template.source if best.template else 'the configuration'}: {misfit.detail}"


def _after(path: list[str], names: int) -> list[str]:
    """What of `path` follows its first `names` names; the indexes of repeating elements between do not count."""
    for position, step in enumerate(path):
        if not step.isdigit():
            names -= 1
            if names == 0:
                return path[position + 1 :]
    return []


def by_parameters(root: Element) -> Callable[[Exchange], dict[str, object]]:
    """For requests without a body: path parameters and the query, by name."""
    repeating = set()
    if isinstance(root.type, ComplexType):
        repeating = {member.key for member in shape_of(root.type).members.values() if member.repeating}

    def collect(exchange: Exchange) -> dict[str, object]:
        content: dict[str, object] = {}
        query = parse_qsl(exchange.request.query.decode("latin-1"), keep_blank_values=True, max_num_fields=1000)
        for name, value in (*exchange.params.items(), *query):
            if name in repeating:
                found = content.setdefault(name, [])
                assert isinstance(found, list), "made above"
                found.append(value)
            elif name in content:
                raise Misfit("is given more than once", name)
            else:
                content[name] = value
        return content

    return collect
