"""Entries to the tree of items: levels, REDEFINES, tables, conditions, offsets. Knows storage only by size.

Rules: Language Reference, "Level-numbers", "REDEFINES clause", "OCCURS clause", "RENAMES clause",
"SYNCHRONIZED clause" (slack bytes).
"""

from __future__ import annotations

import difflib

from adapters.fixed_width.copybook.cursor import Reference
from adapters.fixed_width.copybook.entries import Entry
from adapters.fixed_width.copybook.storage import store
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Condition, Item, Occurs, Rename

MAX_RECORD = 1 << 28  # bytes; far beyond any record, below what would exhaust memory


def build(entries: list[Entry], *, dialect: str, file: str = "") -> tuple[tuple[Item, ...], tuple[Rename, ...]]:
    """The records (levels 01 and 77) and renames. Raises CopybookError with the place of the entry at fault."""
    roots: list[Item] = []
    renames: list[Rename] = []
    entry_of: dict[int, Entry] = {}
    stack: list[Item] = []
    implied: Item | None = None  # a copybook that starts below 01 is the inside of a record
    for entry in entries:
        if entry.level == 88:
            _condition(entry, stack[-1] if stack else None)
            continue
        if entry.level == 66:
            renames.append(_rename(entry, roots[-1] if roots else None))
            continue
        item = Item(entry.name, entry.level, entry.word.line, entry.word.column, entry.word.file)
        entry_of[id(item)] = entry
        while stack and (entry.level in (1, 77) or stack[-1].level >= entry.level):
            stack.pop()
        if entry.level in (1, 77):
            roots.append(item)
        else:
            if not stack:
                if implied is None or implied is not roots[-1]:
                    implied = Item("RECORD", 0, entry.word.line, entry.word.column, entry.word.file)
                    roots.append(implied)
                stack.append(implied)
            item.parent = stack[-1]
            stack[-1].children.append(item)
        stack.append(item)
    if not roots:
        raise CopybookError("no data description entry in it", file=file)
    for index, root in enumerate(roots):
        _Builder(entry_of, dialect, root, roots[:index]).finish()
    return tuple(roots), tuple(renames)


class _Builder:
    """Finishes one record: storage, references, offsets."""

    def __init__(self, entry_of: dict[int, Entry], dialect: str, root: Item, earlier: list[Item]) -> None:
        self.entry_of = entry_of
        self.dialect = dialect
        self.root = root
        self.earlier = earlier
        self.order = {id(item): index for index, item in enumerate(root.walk())}

    def finish(self) -> None:
        self._describe(self.root, "DISPLAY", None, synchronized=False)
        if self.root.redefines is None and (entry := self.entry_of.get(id(self.root))) and entry.redefines:
            self._redefined_root(entry)
        end = self._place(self.root, 0)
        if end > MAX_RECORD:
            raise _error(self.root, f"a record of {end} bytes")
        for item in self.root.walk():
            self._check_names(item)

    def _describe(self, item: Item, usage: str, sign: tuple[str, bool] | None, *, synchronized: bool) -> None:
        """Clauses of this entry and below; USAGE, SIGN and SYNCHRONIZED of a group hold for all it contains."""
        entry = self.entry_of.get(id(item))
        if entry is not None:
            entry.synchronized = synchronized = entry.synchronized or synchronized
            if entry.usage and usage not in ("DISPLAY", entry.usage[0]):
                raise entry.usage[1].error(f"USAGE {entry.usage[0]} inside of a group with USAGE {usage}")
            usage = entry.usage[0] if entry.usage else usage
            sign = entry.sign or sign
            if entry.values:
                item.value = entry.values[0][0]
            if entry.renames:
                raise entry.word.error("RENAMES goes with level 66")
        if item.children:
            if entry is not None:
                self._check_group(entry)
            for child in item.children:
                self._describe(child, usage, sign, synchronized=synchronized)
        elif entry is not None:
            # A SIGN or USAGE inherited from a group applies only to the items that can have it.
            own_sign = entry.sign or (sign if entry.picture and "S" in entry.picture[0].upper() else None)
            try:
                store(item, entry, usage, own_sign, self.dialect)
            except ValueError as exc:
                word = entry.picture[1] if entry.picture and "PICTURE" in str(exc) else entry.word
                raise word.error(f"{entry.name or 'FILLER'}: {exc}") from exc
        if entry is not None and entry.occurs:
            if item.level in (1, 77):
                raise entry.occurs[3].error(f"OCCURS does not go with level {item.level:02}")
            least, most, depending, _ = entry.occurs
            item.occurs = Occurs(least, most, self._depending(item, depending) if depending else None)
        if entry is not None and entry.redefines and item.parent is not None:
            item.redefines = self._redefined(item, entry)

    def _check_group(self, entry: Entry) -> None:
        for name, clause in (
            ("PICTURE", entry.picture),
            ("JUSTIFIED", entry.justified),
            ("BLANK WHEN ZERO", entry.blank_when_zero),
        ):
            if clause:
                raise entry.word.error(f"{entry.name or 'FILLER'}: {name} does not go with a group")

    def _depending(self, item: Item, reference: Reference) -> Item:
        found = [
            other
            for other in self.root.walk()
            if other.name.upper() == reference.name and _qualified(other, reference.of)
        ]
        if not found:
            near = difflib.get_close_matches(reference.name, [other.name.upper() for other in self.root.walk()], n=1)
            raise reference.word.error(
                f"DEPENDING ON {reference.word.text}: no such item in the record"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        before = [other for other in found if self.order[id(other)] < self.order[id(item)]]
        if not before:
            raise reference.word.error(f"DEPENDING ON {reference.word.text}: the item must stand before the table")
        # Of several the one that shares the innermost group: what a program would have to qualify.
        target = max(before, key=lambda other: (_shared(other, item), self.order[id(other)]))
        if target.children or (self.entry_of[id(target)].picture is None):
            raise reference.word.error(f"DEPENDING ON {reference.word.text}: the item must be an integer")
        if target.picture is None or target.picture.category != "numeric" or target.picture.scale > 0:
            raise reference.word.error(f"DEPENDING ON {reference.word.text}: the item must be an integer")
        tables = [above for above in target.ancestors() if above.occurs]
        if any(above not in item.ancestors() for above in tables):
            raise reference.word.error(f"DEPENDING ON {reference.word.text}: the item is inside of another table")
        return target

    def _redefined(self, item: Item, entry: Entry) -> Item:
        """Rules, in order: the name, adjacency, no table below it that varies."""
        assert item.parent is not None, "only children come here"
        assert entry.redefines is not None, "only entries with the clause come here"
        word = entry.redefines
        siblings = item.parent.children
        place = next(index for index, child in enumerate(siblings) if child is item)
        target = next((child for child in reversed(siblings[:place]) if child.name.upper() == word.key), None)
        if target is None:
            near = difflib.get_close_matches(word.key, [child.name.upper() for child in siblings[:place]], n=1)
            raise word.error(
                f"REDEFINES {word.text}: no item of level {item.level:02} with that name before it"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        while target.redefines is not None:  # a redefinition of a redefinition means the same storage
            target = target.redefines
        between = siblings[siblings.index(target) + 1 : place]
        if any(child.redefines is not target for child in between):
            raise word.error(f"REDEFINES {word.text}: other storage lies between the two")
        if target.occurs and self.dialect == "ibm":
            raise word.error(f"REDEFINES {word.text}: the redefined item has OCCURS")
        for part in (target, item):
            if part.varies or (part.occurs and part.occurs.depending):
                raise word.error(f"REDEFINES {word.text}: neither side may contain OCCURS DEPENDING ON")
        return target

    def _redefined_root(self, entry: Entry) -> None:
        assert entry.redefines is not None, "checked by the caller"
        target = next((root for root in self.earlier if root.name.upper() == entry.redefines.key), None)
        if target is None:
            raise entry.redefines.error(f"REDEFINES {entry.redefines.text}: no record of that name before it")
        self.root.redefines = target

    def _place(self, item: Item, at: int) -> int:
        """Give `item` and all below it their offsets; returns where the next item starts."""
        item.offset = at
        if item.children:
            end = at
            for child in item.children:
                if child.redefines is not None:
                    start = child.redefines.offset
                    after = self._place(child, start)
                    room = start + child.redefines.total
                    if after > room and self.dialect == "ibm" and child.level > 1 and not _is_last(child):
                        # "REDEFINES clause": only a level-01 item may be redefined by a longer one. Segments of
                        # one file are written so all the same; at a record's end nothing comes to lie over another.
                        raise _error(
                            child,
                            f"{child.name or 'FILLER'} has {after - start} bytes and redefines {child.redefines.name}, which has {child.redefines.total}; what follows would lie over it",
                        )
                    end = max(end, after)
                else:
                    end = self._place(child, end + _slack(child, end))
            item.size = end - at
            align = _alignment(item)
            if item.occurs and align > 1:  # slack at the end of each occurrence keeps all of them aligned
                item.slack_after = -item.size % align
        return at + item.total

    def _check_names(self, item: Item) -> None:
        seen: dict[str, Item] = {}
        for child in item.children:
            if not child.name:
                continue
            if first := seen.get(child.name.upper()):
                raise _error(child, f"{child.name} stands twice in {item.name or 'FILLER'}; first in line {first.line}")
            seen[child.name.upper()] = child


def _is_last(item: Item) -> bool:
    """Whether no other storage follows in the record, whatever else redefines the same."""
    while item.parent is not None:
        siblings = item.parent.children
        behind = siblings[next(index for index, child in enumerate(siblings) if child is item) + 1 :]
        if item.parent.occurs or any(child.redefines is None for child in behind):
            return False
        item = item.parent
    return True


def _slack(item: Item, at: int) -> int:
    """Slack goes before the outermost group that starts with the aligned item: groups start where their first item does."""
    first = item
    while first.children:
        first = first.children[0]
    return -at % first.align if first.align > 1 else 0


def _alignment(item: Item) -> int:
    return max((part.align for part in item.walk()), default=1)


def _shared(one: Item, other: Item) -> int:
    theirs = other.ancestors()
    return sum(1 for above in one.ancestors() if any(above is item for item in theirs))


def _qualified(item: Item, of: tuple[str, ...]) -> bool:
    names = [above.name.upper() for above in item.ancestors()]
    for qualifier in of:
        if qualifier not in names:
            return False
        names = names[names.index(qualifier) + 1 :]
    return True


def _condition(entry: Entry, item: Item | None) -> None:
    if item is None:
        raise entry.word.error(f"level 88 {entry.name}: no item before it")
    if not entry.name or not entry.values:
        raise entry.word.error("level 88 takes a name and VALUE")
    item.conditions = (*item.conditions, Condition(entry.name, tuple(entry.values)))


def _rename(entry: Entry, root: Item | None) -> Rename:
    if entry.renames is None or not entry.name or root is None:
        raise entry.word.error("level 66 takes a name and RENAMES, after a record")
    ends = []
    for reference in entry.renames:
        found = next(
            (item for item in root.walk() if item.name.upper() == reference.name and _qualified(item, reference.of)),
            None,
        )
        if found is None:
            raise reference.word.error(f"RENAMES {reference.word.text}: no such item in {root.name}")
        ends.append(found)
    return Rename(entry.name, ends[0], ends[1])


def _error(item: Item, message: str) -> CopybookError:
    return CopybookError(message, line=item.line, column=item.column, file=item.file)
