"""The layout as JSON will show it: names chosen, FILLER folded away, alternatives told apart. Knows no bytes.

FILLER groups vanish and what they hold moves up; a FILLER table that varies or holds
named items becomes `filler_1` and so on, as its items need a place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item, Layout
from adapters.fixed_width.names import json_name
from adapters.fixed_width.options import Options


@dataclass(slots=True, eq=False)
class Node:
    """An item with its place in JSON. `key` is None for FILLER, which has bytes only."""

    item: Item
    key: str | None
    members: list[Node | Family | Gap] = field(default_factory=list)
    parent: Node | None = None


@dataclass(slots=True, eq=False)
class Family:
    """An item and what redefines it. `choose` holds, for each value of the discriminator, the alternative's index."""

    alternatives: list[Node]
    size: int
    discriminator: Item | None = None
    choose: list[tuple[str, int]] = field(default_factory=list)
    otherwise: int | None = None
    every: bool = False  # all alternatives are read, and left out where they do not fit


@dataclass(slots=True, eq=False)
class Gap:
    """Slack bytes of SYNCHRONIZED; written as zeros."""

    size: int


def nodes_of(member: Node | Family | Gap) -> list[Node]:
    """The nodes that a member stands for: itself, or all alternatives."""
    return member.alternatives if isinstance(member, Family) else [member] if isinstance(member, Node) else []


def descendants(node: Node) -> list[Node]:
    """The node and all below it, alternatives included, in the order of the record."""
    found = [node]
    for member in node.members:
        for inner in nodes_of(member):
            found.extend(descendants(inner))
    return found


class Shaper:
    """Builds nodes for one record under one set of options."""

    def __init__(self, record: Item, options: Options, *, plain: bool) -> None:
        self.record = record
        self.options = options
        self.plain = plain  # names of plain layouts are JSON names already
        self.node_of: dict[int, Node] = {}
        self.used: set[tuple[str, str, str]] = set()  # selects that found their family
        self._fillers = 0

    def shape(self) -> Node:
        """The record's node. Raises CopybookError for a select that fits nothing or two members of one name."""
        node = self._node(self.record, None)
        _check_keys(node)
        return node

    def _key(self, item: Item) -> str | None:
        if not item.name:
            if item.occurs and (item.occurs.depending or any(below.name for below in item.walk())):
                self._fillers += 1
                return json_name(f"FILLER-{self._fillers}", self.options.names)
            return None
        return item.name if self.plain else json_name(item.name, self.options.names)

    def _node(self, item: Item, parent: Node | None) -> Node:
        node = Node(item, self._key(item), parent=parent)
        self.node_of[id(item)] = node
        end = item.offset
        for child in item.children:
            if child.redefines is not None:
                continue
            if child.offset > end:
                node.members.append(Gap(child.offset - end))
            family = [child, *(other for other in item.children if other.redefines is child)]
            size = max(one.total for one in family)
            if len(family) > 1:
                node.members.append(self._family(family, size, node))
            else:
                inner = self._node(child, node)
                # a FILLER group that holds names gives way to them; any other is bytes, which its VALUE tells as a whole
                named = any(below.name for below in child.walk())
                if inner.key is None and inner.members and not child.occurs and (named or child.value is None):
                    node.members.extend(inner.members)
                    _adopt(inner, node)
                else:
                    node.members.append(inner)
            end = child.offset + size
        return node

    def _family(self, items: list[Item], size: int, parent: Node) -> Family:
        chosen = [
            (name, value, index)
            for name, value, group in self.options.select
            for index, item in enumerate(items)
            if _answers_to(item, group) and not self.used.add((name, value, group))  # type: ignore[func-returns-value]  # add returns None: it records
        ]
        fields = {name.upper() for name, _, _ in chosen}
        if len(fields) > 1:
            raise CopybookError(
                f"select: {items[0].path} and what redefines it are told apart by one field, not by {' and '.join(sorted(fields))}"
            )
        every = self.options.redefines == "all"
        if not chosen and not every:
            return Family([self._node(items[0], parent)], size)
        family = Family([self._node(item, parent) for item in items], size, every=every)
        if chosen:
            family.discriminator = find_item(self.record, chosen[0][0], "select: ")
            family.choose = [(value, index) for _, value, index in chosen if value != "*"]
            family.otherwise = next((index for _, value, index in chosen if value == "*"), None)
        return family


def _adopt(inner: Node, parent: Node) -> None:
    for member in inner.members:
        for node in nodes_of(member):
            node.parent = parent


def _answers_to(item: Item, group: str) -> bool:
    """Whether `group` names the alternative; one that is FILLER is named by anything it holds."""
    if item.name:
        return item.name.upper() == group.upper()
    return any(below.name.upper() == group.upper() for below in item.walk())


def find_item(record: Item, name: str, purpose: str = "") -> Item:
    """The elementary item of that name, or of the dotted path that ends so. Raises CopybookError; `purpose` opens it."""
    wanted = name.upper().split(".")
    found = [item for item in record.walk() if item.path.upper().split(".")[-len(wanted) :] == wanted]
    if not found:
        raise CopybookError(f"{purpose}{name}: no such item in {record.name}")
    if len(found) > 1:
        raise CopybookError(
            f"{purpose}{name}: several items of that name in {record.name}; write {' or '.join(item.path for item in found)}"
        )
    if found[0].is_group or found[0].occurs:
        raise CopybookError(f"{purpose}{name}: one elementary item is expected")
    return found[0]


def keys_of(node: Node) -> list[str]:
    """All names that the members of a node can have in JSON, alternatives included."""
    keys: list[str] = []
    for member in node.members:
        for inner in nodes_of(member):
            if inner.key is not None:
                keys.append(inner.key)
            else:
                keys.extend(keys_of(inner))
    return keys


def _check_keys(node: Node) -> None:
    seen: set[str] = set()
    for key in keys_of(node):
        if key in seen:
            raise CopybookError(
                f"two members of {node.item.path} would be named {key} in JSON",
                line=node.item.line,
                column=node.item.column,
                file=node.item.file,
            )
        seen.add(key)
    for member in node.members:
        for inner in nodes_of(member):
            _check_keys(inner)


def chosen_records(layout: Layout, options: Options) -> list[Item]:
    """The records that a stream may hold: the one asked for, those that `select` names, or the first."""
    if options.record:
        record = layout.record(options.record)
        if record is None:
            raise CopybookError(
                f"no record {options.record}; there are {', '.join(item.name or 'FILLER' for item in layout.records)}"
            )
        return [record]
    named = {group.upper() for _, _, group in options.select}
    selected = [item for item in layout.records if item.name.upper() in named]
    return selected or [layout.records[0]]
