"""Words to data description entries: level, name, clauses. Knows the grammar of each clause, nothing of storage.

Rules: Language Reference, "Data division -- data description entry".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.fixed_width.copybook.cursor import Reader, Reference
from adapters.fixed_width.copybook.words import Word, joined, literal_text
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Literal

_FIGURATIVE = {
    **dict.fromkeys(("ZERO", "ZEROS", "ZEROES"), "zero"),
    **dict.fromkeys(("SPACE", "SPACES"), "space"),
    **dict.fromkeys(("HIGH-VALUE", "HIGH-VALUES"), "high"),
    **dict.fromkeys(("LOW-VALUE", "LOW-VALUES", "NULL", "NULLS"), "low"),
    **dict.fromkeys(("QUOTE", "QUOTES"), "quote"),
}
USAGES = {
    "DISPLAY": "DISPLAY", "DISPLAY-1": "DISPLAY-1", "NATIONAL": "NATIONAL",
    "BINARY": "BINARY", "COMP": "BINARY", "COMP-4": "BINARY", "COMP-5": "COMP-5",
    "COMP-1": "COMP-1", "COMP-2": "COMP-2", "COMP-3": "COMP-3", "PACKED-DECIMAL": "COMP-3", "COMP-6": "COMP-6",
    "COMPUTATIONAL": "BINARY", "COMPUTATIONAL-1": "COMP-1", "COMPUTATIONAL-2": "COMP-2", "COMPUTATIONAL-3": "COMP-3",
    "COMPUTATIONAL-4": "BINARY", "COMPUTATIONAL-5": "COMP-5", "COMPUTATIONAL-6": "COMP-6",
}  # fmt: skip
_MEANINGLESS = ("POINTER", "POINTER-32", "PROCEDURE-POINTER", "FUNCTION-POINTER", "INDEX", "OBJECT")


@dataclass(slots=True)
class Entry:
    """One data description entry as written; nothing in it has been looked up."""

    word: Word
    level: int
    name: str = ""
    redefines: Word | None = None
    picture: tuple[str, Word] | None = None
    usage: tuple[str, Word] | None = None
    sign: tuple[str, bool] | None = None
    occurs: tuple[int, int, Reference | None, Word] | None = None
    synchronized: bool = False
    justified: Word | None = None
    blank_when_zero: Word | None = None
    values: list[tuple[Literal, Literal | None]] = field(default_factory=list)
    renames: tuple[Reference, Reference] | None = None


def parse_entries(words: list[Word]) -> list[Entry]:
    """All entries of the text. Raises CopybookError at the first word that fits no rule."""
    at = Reader(words)
    entries = []
    while not at.done:
        if at.word.kind == "period":
            at.take()
            continue
        entries.append(_entry(at))
    return entries


def _entry(at: Reader) -> Entry:
    word = at.take()
    if not re.fullmatch(r"\d\d?", word.text):
        hint = (
            ": this is a program, give the copybook alone"
            if word.key in ("IDENTIFICATION", "ID", "DATA", "FD", "WORKING-STORAGE")
            else ""
        )
        raise word.error(f"a level number is expected, not '{word.text}'{hint}")
    entry = Entry(word, int(word.text))
    if not (1 <= entry.level <= 49 or entry.level in (66, 77, 88)):
        raise word.error(f"level {word.text}: levels are 01 to 49, 66, 77 and 88")
    if not at.done and at.word.kind == "name" and at.word.key not in _CLAUSES:
        name = at.data_name()
        entry.name = "" if name.key == "FILLER" else name.text
        entry.word = word if not entry.name else name
        if len(entry.name) > 61:  # 30 in the reference; tools write longer ones
            raise name.error("a name of more than 61 characters")
    while at.word.kind != "period":
        at.accept("IS")  # EXTERNAL and GLOBAL may have it in front
        clause = at.take()
        parse = _CLAUSES.get(clause.key) if clause.kind == "name" else None
        if parse is None:
            raise _unknown(clause)
        parse(at, entry, clause)
    at.take()
    return entry


def _unknown(word: Word) -> CopybookError:
    if word.key in _MEANINGLESS:
        return word.error(f"USAGE {word.text} has no meaning outside of the program")
    if word.text == ":":
        return word.error("a :TAG: that only COPY … REPLACING can fill in")
    near = difflib.get_close_matches(word.key, _CLAUSES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if word.column + len(word.text) == 73:
        hint = "; the fixed format ends at column 72"
    return word.error(f"unknown clause '{word.text}'{hint}")


def _once(entry: Entry, attribute: str, word: Word) -> None:
    if getattr(entry, attribute):
        raise word.error(f"a second {attribute.replace('_', ' ').upper()} clause")


def _redefines(at: Reader, entry: Entry, word: Word) -> None:
    _once(entry, "redefines", word)
    entry.redefines = at.data_name()


def _picture(at: Reader, entry: Entry, word: Word) -> None:
    _once(entry, "picture", word)
    at.accept("IS")
    run = at.run()
    if run[-1].kind == "other" and run[-1].text in ",;":
        run.pop()
    entry.picture = (joined(run), run[0] if run else word)


def _usage(at: Reader, entry: Entry, word: Word) -> None:
    if word.key == "USAGE":
        at.accept("IS")
        word = at.take()
    _once(entry, "usage", word)
    if word.key not in USAGES:
        if word.key in _MEANINGLESS:
            raise _unknown(word)
        near = difflib.get_close_matches(word.key, USAGES, n=1)
        raise word.error(f"unknown USAGE '{word.text}'" + (f"; did you mean {near[0]}?" if near else ""))
    entry.usage = (USAGES[word.key], word)
    at.accept("NATIVE")


def _sign(at: Reader, entry: Entry, word: Word) -> None:
    if word.key == "SIGN":
        at.accept("IS")
        word = at.take()
    if word.key not in ("LEADING", "TRAILING"):
        raise word.error(f"SIGN: LEADING or TRAILING is expected, not '{word.text}'")
    _once(entry, "sign", word)
    separate = at.accept("SEPARATE") is not None
    if separate:
        at.accept("CHARACTER")
    entry.sign = (word.key, separate)


def _occurs(at: Reader, entry: Entry, word: Word) -> None:
    _once(entry, "occurs", word)
    least: int | None = None
    most = at.integer("OCCURS: a number of times")
    if at.accept("TO"):
        if at.word.key == "UNBOUNDED":
            raise at.word.error("OCCURS UNBOUNDED: the record would have no longest length")
        least, most = most, at.integer("OCCURS: a number of times")
    at.accept("TIMES")
    depending = None
    while True:
        if at.accept("DEPENDING"):
            at.accept("ON")
            depending = at.reference()
        elif at.accept("ASCENDING", "DESCENDING"):
            at.accept("KEY")
            at.accept("IS")
            _names(at)
        elif at.accept("INDEXED"):
            at.accept("BY")
            _names(at)
        else:
            break
    if most < 1:
        raise word.error("OCCURS: the most is at least 1")
    if depending is None and least is not None and least != most:
        raise word.error("OCCURS … TO … needs DEPENDING ON")
    # "OCCURS DEPENDING ON clause": integer-1 left out is 1; files are written with none, so none is read.
    entry.occurs = (least if least is not None else 0 if depending else most, most, depending, word)
    if entry.occurs[0] > most:
        raise word.error(f"OCCURS: {least} TO {most} counts down")


def _names(at: Reader) -> None:
    at.reference()
    while (
        at.word.kind == "name"
        and at.word.key not in _CLAUSES
        and at.word.key not in ("ASCENDING", "DESCENDING", "INDEXED", "DEPENDING")
    ):
        at.reference()


def _synchronized(at: Reader, entry: Entry, word: Word) -> None:
    entry.synchronized = True
    at.accept("LEFT", "RIGHT")


def _justified(at: Reader, entry: Entry, word: Word) -> None:
    entry.justified = word
    at.accept("RIGHT")


def _blank(at: Reader, entry: Entry, word: Word) -> None:
    at.accept("WHEN")
    zero = at.take()
    if _FIGURATIVE.get(zero.key) != "zero":
        raise zero.error(f"BLANK WHEN: ZERO is expected, not '{zero.text}'")
    entry.blank_when_zero = word


def _value(at: Reader, entry: Entry, word: Word) -> None:
    _once(entry, "values", word)
    at.accept("IS", "ARE")
    while True:
        first = _literal(at)
        last = _literal(at) if at.accept("THROUGH", "THRU") else None
        entry.values.append((first, last))
        while at.word.kind == "other" and at.word.text in ",;":  # a comma without its space is common
            at.take()
        if at.word.kind == "period" or at.word.key in _CLAUSES or at.word.key in ("WHEN", "FALSE"):
            break
    if at.accept("WHEN", "FALSE"):  # "VALUE clause", format 2: WHEN SET TO may be left out
        for key in ("SET", "TO", "FALSE"):
            at.accept(key)
        at.accept("IS")
        _literal(at)
    if entry.level != 88 and (len(entry.values) > 1 or entry.values[0][1] is not None):
        raise word.error("VALUE of a data item is one literal")


def _literal(at: Reader) -> Literal:
    word = at.take()
    if word.kind == "literal":
        prefix = word.text[: len(word.text) - len(word.text.lstrip("XGNZxgnz"))].upper()
        text = literal_text(word)
        if prefix in ("X", "NX"):
            if len(text) % (2 if prefix == "X" else 4) or not re.fullmatch(r"[0-9A-Fa-f]*", text):
                raise word.error(
                    f"a hexadecimal literal takes {'pairs' if prefix == 'X' else 'fours'} of hexadecimal digits"
                )
            return Literal(text, "hex" if prefix == "X" else "national hex")
        return Literal(text, "text")
    if word.key == "ALL":
        inner = _literal(at)
        return Literal(inner.text, "all") if inner.kind == "text" else inner
    if word.key in _FIGURATIVE:
        return Literal(word.text, _FIGURATIVE[word.key])
    text = word.text
    while not at.done and at.word.touches and at.word.kind in ("name", "number"):
        text += at.take().text
    if re.fullmatch(r"[+-]?(\d+(\.\d+)?|\.\d+)([Ee][+-]?\d+)?", text):
        return Literal(text, "number")
    raise word.error(f"a literal is expected, not '{word.text}'")


def _renames(at: Reader, entry: Entry, word: Word) -> None:
    first = at.reference()
    entry.renames = (first, at.reference() if at.accept("THROUGH", "THRU") else first)


def _nothing(at: Reader, entry: Entry, word: Word) -> None:
    """Clauses that change nothing in storage."""
    at.accept("IS")


def _group_usage(at: Reader, entry: Entry, word: Word) -> None:
    at.accept("IS")
    if not at.accept("NATIONAL"):
        raise at.word.error("GROUP-USAGE: NATIONAL is expected")
    entry.usage = ("NATIONAL", word)


_CLAUSES: dict[str, Callable[[Reader, Entry, Word], None]] = {
    "REDEFINES": _redefines, "PIC": _picture, "PICTURE": _picture, "USAGE": _usage, "SIGN": _sign, "LEADING": _sign, "TRAILING": _sign,
    "OCCURS": _occurs, "SYNC": _synchronized, "SYNCHRONIZED": _synchronized, "JUST": _justified, "JUSTIFIED": _justified,
    "BLANK": _blank, "VALUE": _value, "VALUES": _value, "RENAMES": _renames, "EXTERNAL": _nothing, "GLOBAL": _nothing, "VOLATILE": _nothing,
    "GROUP-USAGE": _group_usage, **dict.fromkeys(USAGES, _usage),
}  # fmt: skip
