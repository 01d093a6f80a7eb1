"""What a record is put together from, and how neighbours are joined cheaply. Knows no items.

A `run` is a fragment of an f-string that the code page encodes in one go, a `hex` fragment is read by
bytes.fromhex, `bytes` is an expression, `const` are bytes that never change.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.fixed_width.codec.codepages import HOLE, CodePage
from adapters.fixed_width.codec.plan.faults import Places
from adapters.fixed_width.codec.plan.writer import Writer


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` is the fragment or expression; `size` its characters; `number` the field, for faults."""

    kind: str
    text: str
    size: int = 0
    number: int = 0
    constant: bytes = b""


def constant(raw: bytes) -> Piece:
    return Piece("const", repr(raw), constant=raw)


class Joiner:
    """Emits the code that turns pieces into one bytes expression."""

    def __init__(self, writer: Writer, page: CodePage, places: Places) -> None:
        self.w = writer
        self.page = page
        self.places = places

    def _as_run(self, piece: Piece) -> Piece:
        """A constant as part of a run, where its bytes have characters."""
        if piece.kind != "const" or not self.page.table:
            return piece
        text = "".join(self.page.table[byte] for byte in piece.constant)
        if HOLE in text or not text.isprintable():
            return piece
        escaped = repr(text)[1:-1].replace('"', '\\"').replace("{", "{{").replace("}", "}}")
        return Piece("run", escaped, len(text))

    def joined(self, pieces: list[Piece]) -> str:
        """An expression for all pieces in a row; statements it needs are emitted here."""
        parts: list[str] = []
        index = 0
        while index < len(pieces):
            piece = pieces[index]
            end = index + 1
            if piece.kind in ("run", "hex") or (piece.kind == "const" and self._as_run(piece).kind == "run"):
                kind = "run" if piece.kind == "const" else piece.kind
                group = [self._as_run(piece) if kind == "run" else piece]
                while end < len(pieces) and (pieces[end] if kind == "hex" else self._as_run(pieces[end])).kind == kind:
                    group.append(self._as_run(pieces[end]) if kind == "run" else pieces[end])
                    end += 1
                parts.append(self._group(kind, group, pieces[index:end]))
            else:
                parts.append(piece.text)
            index = end
        if len(parts) == 1:
            return parts[0]
        return f"b''.join(({', '.join(parts)}))" if parts else "b''"

    def _group(self, kind: str, group: list[Piece], original: list[Piece]) -> str:
        body = "".join(piece.text for piece in group)
        if kind == "hex":
            return f"FROMHEX(f'{body}')"
        if all(piece.kind == "const" for piece in original):
            return repr(b"".join(piece.constant for piece in original))
        self.places.runs.append([(piece.size, piece.number) for piece in group])
        name = self.w.name("b")
        self.w.line(f"f = {-len(self.places.runs)}")
        self.w.line(f'{name} = ENCODE(f"{body}", ERRORS, MAP)[0]')
        return name
