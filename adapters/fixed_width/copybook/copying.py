"""COPY and its REPLACING phrase: words in, words out. Knows where members are found, nothing of data descriptions.

Rules: Language Reference, "COPY statement".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adapters.fixed_width.copybook.source import program_text
from adapters.fixed_width.copybook.words import Word, joined, literal_text, split_words
from adapters.fixed_width.errors import CopybookError

_SUFFIXES = ("", ".cpy", ".cob", ".cbl", ".copy", ".txt")
MAX_BYTES = 16 * 1024 * 1024  # of all members together; a large real copybook has 1 MiB


@dataclass(frozen=True, slots=True)
class _Replacement:
    old: tuple[Word, ...]
    new: tuple[Word, ...]
    partial: str  # "" | LEADING | TRAILING


@dataclass(slots=True)
class Library:
    """Reads members. `folders` are searched in order after the folder of the file that says COPY.

    `read` gives the contents of a path or raises OSError; `files` collects every file that was read.
    """

    read: Callable[[str], bytes]
    folders: tuple[Path, ...] = ()
    form: str = "auto"
    files: list[str] = field(default_factory=list)
    _bytes: int = 0

    def words(self, source: str, file: str, chain: tuple[str, ...]) -> list[Word]:
        """The words of one source with every COPY carried out."""
        self._bytes += len(source)
        if self._bytes > MAX_BYTES:
            raise CopybookError(f"the copybook and its members have more than {MAX_BYTES} characters", file=file)
        words = split_words(program_text(source, file=file, form=self.form))
        out: list[Word] = []
        position = 0
        while position < len(words):
            word = words[position]
            if word.kind == "name" and word.key == "COPY" and _starts_statement(words, position):
                position, copied = self._copy(words, position, chain)
                out.extend(copied)
            else:
                out.append(word)
                position += 1
        return out

    def _copy(self, words: list[Word], start: int, chain: tuple[str, ...]) -> tuple[int, list[Word]]:
        at = _Cursor(words, start + 1)
        member = at.take("the name of the member to copy")
        name = literal_text(member) if member.kind == "literal" else member.text
        while at.touching():  # member.cpy without quotation marks
            name += at.take("").text
        folder = ""
        if at.next_is("OF", "IN"):
            library = at.take("a library name")
            folder = literal_text(library) if library.kind == "literal" else library.text
        at.next_is("SUPPRESS")
        replacements = list(_replacements(at)) if at.next_is("REPLACING") else []
        at.period()
        path, source = self._find(name, folder, member)
        if path in chain:
            shown = " -> ".join(Path(file).name for file in (*chain, path))
            raise member.error(f"COPY {name} is cyclic: {shown}")
        copied = self.words(source, path, (*chain, path))
        if path not in self.files:
            self.files.append(path)
        return at.position, _replaced(copied, replacements)

    def _find(self, name: str, folder: str, word: Word) -> tuple[str, str]:
        """Path and text of a member: as it is written, in lower and upper case, with the usual suffixes."""
        roots = ([Path(word.file).parent] if word.file else []) + list(self.folders)
        if folder:
            roots = [root / part for root in roots for part in (folder, folder.lower())] + roots
        for root in roots:
            for spelling in dict.fromkeys((name, name.lower(), name.upper())):
                for suffix in (*_SUFFIXES, *(suffix.upper() for suffix in _SUFFIXES[1:])):
                    path = str(root / (spelling + suffix))
                    try:
                        return path, as_text(self.read(path))
                    except OSError:
                        continue
        looked = ", ".join(str(root) for root in roots) or "nowhere: give the copybook as a file"
        raise word.error(f"COPY {name}: no such member (looked in {looked})")


def from_disk(path: str) -> bytes:
    """The contents of a file. Raises OSError."""
    return Path(path).read_bytes()


def read_source(path: str, read: Callable[[str], bytes]) -> str:
    """The text of a source file. Raises CopybookError when it cannot be read."""
    try:
        return as_text(read(path))
    except OSError as exc:
        raise CopybookError(f"cannot be read: {exc.strerror or exc}", file=path) from exc


def as_text(raw: bytes) -> str:
    """UTF-8, or Latin-1 where it is not."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@dataclass(slots=True)
class _Cursor:
    words: list[Word]
    position: int

    def take(self, wanted: str) -> Word:
        if self.position >= len(self.words):
            raise self.words[-1].error(f"the COPY statement ends before {wanted}")
        self.position += 1
        return self.words[self.position - 1]

    def touching(self) -> bool:
        return (
            self.position < len(self.words)
            and self.words[self.position].touches
            and self.words[self.position].kind != "period"
        )

    def next_is(self, *keys: str) -> bool:
        found = self.position < len(self.words) and self.words[self.position].key in keys
        self.position += found
        return found

    def period(self) -> None:
        word = self.take("its period")
        if word.kind != "period":
            raise word.error(f"COPY: a period is expected, not '{word.text}'")

    def operand(self) -> tuple[Word, ...]:
        first = self.take("a REPLACING operand")
        if first.kind != "pseudo":
            run = [first]
            while self.touching():
                run.append(self.take(""))
            return tuple(run)
        inside: list[Word] = []
        while (word := self.take("the closing == of pseudo-text")).kind != "pseudo":
            inside.append(word)
        return tuple(inside)


def _starts_statement(words: list[Word], position: int) -> bool:
    # A data item may be named COPY only where a level number stands before it; COBOL reserves the word.
    return position == 0 or words[position - 1].kind in ("period",) or words[position - 1].key not in ("OF", "IN")


def _replacements(at: _Cursor) -> Iterator[_Replacement]:
    while at.position < len(at.words) and at.words[at.position].kind != "period":
        partial = ""
        if at.words[at.position].key in ("LEADING", "TRAILING"):
            partial = at.take("").key
        start = at.words[at.position]
        old = at.operand()
        if not at.next_is("BY"):
            raise start.error("REPLACING: BY is expected after the text to replace")
        new = at.operand()
        if not old:
            raise start.error("REPLACING: the text to replace is empty")
        if partial and (len(old) != 1 or len(new) > 1):
            raise start.error(f"REPLACING {partial} takes one word on each side")
        yield _Replacement(old, new, partial)


def _replaced(words: list[Word], replacements: list[_Replacement]) -> list[Word]:
    """Comparison goes on from left to right, the first operand that matches wins, its result is not looked at again."""
    if not replacements:
        return words
    out: list[Word] = []
    position = 0
    while position < len(words):
        for replacement in replacements:
            taken, new = _match(words, position, replacement)
            if taken:
                out.extend(new)
                position += taken
                break
        else:
            out.append(words[position])
            position += 1
    return _glued(out)


def _match(words: list[Word], position: int, replacement: _Replacement) -> tuple[int, list[Word]]:
    word = words[position]
    if replacement.partial:
        old, new = replacement.old[0].key, joined(list(replacement.new))
        if word.kind == "name" and replacement.partial == "LEADING" and word.key.startswith(old):
            return 1, [word.renamed(new + word.text[len(old) :])]
        if word.kind == "name" and replacement.partial == "TRAILING" and word.key.endswith(old):
            return 1, [word.renamed(word.text[: len(word.text) - len(old)] + new)]
        return 0, []
    run = words[position : position + len(replacement.old)]
    if len(run) < len(replacement.old) or any(a.key != b.key for a, b in zip(run, replacement.old, strict=True)):
        return 0, []
    # What replaces takes the place of what it replaces, so that later errors point into the member.
    new_words = [
        Word(new.kind, new.text, word.line, word.column, word.file, new.touches if index else word.touches)
        for index, new in enumerate(replacement.new)
    ]
    return len(run), new_words


def _glued(words: list[Word]) -> list[Word]:
    """Names that touch become one, so that :TAG:-NAME with :TAG: replaced is a name again."""
    out: list[Word] = []
    for word in words:
        if out and word.touches and word.kind == "name" and out[-1].kind == "name":
            out[-1] = out[-1].renamed(out[-1].text + word.text)
        else:
            out.append(word)
    return out
