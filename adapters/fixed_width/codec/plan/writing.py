"""One elementary item: the lines of code that turn a JSON value into pieces of a record. Knows nothing of groups.

The value is in the local `v` when the code starts. Python 3.11 allows no quotation mark of an f-string inside of
its fields, so fragments hold local names only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from adapters.fixed_width.codec.codepages import CodePage
from adapters.fixed_width.codec.edited import edited_picture
from adapters.fixed_width.codec.floats import ieee_writer, write_ibm
from adapters.fixed_width.codec.numbers import Misfit, scaled, truncated
from adapters.fixed_width.codec.plan.literals import condition_names, is_number, literal_value, pad_character
from adapters.fixed_width.codec.plan.pieces import Joiner, Piece
from adapters.fixed_width.codec.plan.reading import BLANKABLE, STRUCT_CODES
from adapters.fixed_width.codec.plan.runtime import as_float, no_text, too_big
from adapters.fixed_width.codec.plan.writer import Writer
from adapters.fixed_width.codec.signs import sign_bytes
from adapters.fixed_width.codec.written import date_writer, number_writer
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item, Kind, Sign
from adapters.fixed_width.options import Options


class ItemWriter:
    """Emits code for items of one plan."""

    def __init__(self, writer: Writer, options: Options, page: CodePage, joiner: Joiner) -> None:
        self.w = writer
        self.options = options
        self.page = page
        self.joiner = joiner

    def write(self, item: Item, number: int) -> list[Piece]:
        """Pieces for the value in `v`. Emits the checks; the integer of all digits is left in `i` where there is one."""
        names = condition_names(item, self.options)
        if names:
            back = self.w.constant({name: value for value, name in names.items()})
            self.w.line(f"v = {back}.get(v, v) if type(v) is str else v")
        null = self._null(item)
        if null is None:
            return self._value(item, number)
        result = self.w.name("b")
        with self.w.block("if v is None:"):
            self.w.line(f"i = 0; {result} = {null!r}")
        with self.w.block("else:"):
            expression = self.joiner.joined(self._value(item, number))
            self.w.line(f"{result} = {expression}")
        return [Piece("bytes", result)]

    def _null(self, item: Item) -> bytes | None:
        """What null is written as, where the options read something as null."""
        blankable = item.kind in BLANKABLE
        if blankable and (
            self.options.blanks == "null"
            or self.options.lenient
            or (item.kind is Kind.DATE and self.options.blanks == "error")
        ):
            return b"\0\x20" * (item.size // 2) if item.kind is Kind.NATIONAL_ZONED else self.page.blank * item.size
        if self.options.low_values == "null" and (blankable or item.kind in (Kind.TEXT, Kind.NATIONAL, Kind.DBCS)):
            return bytes(item.size)
        return None

    def has_initial(self, item: Item) -> bool:
        """Whether initial() is all that VALUE says: octets that the code page lacks are no text that could stand for it."""
        text = item.kind in (Kind.TEXT, Kind.NATIONAL, Kind.DBCS)
        return item.value is None or not text or literal_value(item, item.value, self.options) is not None

    def initial(self, item: Item) -> object:
        """The value of an item that nobody gave: its VALUE, else blanks or zero. INITIALIZE does the same."""
        if item.value is not None and (value := literal_value(item, item.value, self.options)) is not None:
            return value
        if item.kind is Kind.DATE:
            return None
        if item.kind is Kind.EDITED and self.options.edited == "text":
            return ""
        return 0 if is_number(item, self.options) or item.kind in (Kind.FLOAT, Kind.DOUBLE) else ""

    def _value(self, item: Item, number: int) -> list[Piece]:
        if is_number(item, self.options):
            self._integer(item)
            assert item.kind is not None, "numbers are elementary"
            pieces: list[Piece] = getattr(self, f"_{item.kind.name.lower()}")(item, number)
            return pieces
        if item.kind in (Kind.FLOAT, Kind.DOUBLE):
            little = self.options.dialect != "ibm"
            write: Callable[[Any], bytes] = (
                (lambda value: write_ibm(value, item.size))
                if self.options.float == "ibm"
                else ieee_writer(item.size, little=little)
            )
            self.w.constants.setdefault("AS_FLOAT", as_float)
            return self._held(f"{self.w.constant(write)}(AS_FLOAT(v))")
        if item.kind is Kind.DATE:
            assert item.date_format is not None, "a date has its format"
            self.w.line(f"v = {self.w.constant(date_writer(item.date_format, item.size))}(v)")
        return self._text(item, number)

    def _held(self, expression: str) -> list[Piece]:
        """Evaluate now, while `f` names the field, and keep the bytes."""
        name = self.w.name("b")
        self.w.line(f"{name} = {expression}")
        return [Piece("bytes", name)]

    # Numbers: `i` is the integer of all digits

    def _integer(self, item: Item) -> None:
        assert item.picture is not None, "numbers have a picture"
        scale, digits, signed = item.picture.scale, item.picture.digits, item.picture.signed
        if self.options.lenient:
            self.w.constants.setdefault("TRUNCATED", truncated)
            self.w.line(f"i = TRUNCATED(v, {scale}, {digits}, {signed})")
            return
        self.w.constants.setdefault("SCALED", scaled)
        self.w.line("i = v if type(v) is int else SCALED(v, 0)" if scale == 0 else f"i = SCALED(v, {scale})")
        limit = 10**digits
        if item.kind is Kind.BINARY and (item.full_range or self.options.trunc == "bin"):
            low, high = (-(1 << 8 * item.size - 1), 1 << 8 * item.size - 1) if signed else (0, 1 << 8 * item.size)
            check = f"{low} <= i < {high}"
        else:
            check = f"-{limit} < i < {limit}" if signed else f"0 <= i < {limit}"
        self.w.constants.setdefault("TOO_BIG", too_big)
        with self.w.block(f"if not {check}:"):
            self.w.line(f"raise TOO_BIG(i, {signed}, {item.picture.digits - max(scale, 0)})")

    def _zoned(self, item: Item, number: int) -> list[Piece]:
        last = item.size - 1
        if item.sign is Sign.NONE:
            if item.blank_when_zero:
                text = self.w.name("w")
                self.w.line(f"{text} = f'{{i:0{item.size}d}}' if i else {' ' * item.size!r}")
                return self._digits(f"{{{text}}}", item.size, number)
            value = self._copy("i", "i")
            return self._digits(f"{{{value}:0{item.size}d}}", item.size, number)
        if item.sign in (Sign.LEADING_SEPARATE, Sign.TRAILING_SEPARATE):
            value, sign = self.w.name("i"), self.w.name("w")
            self.w.line(f"{value} = i if i >= 0 else -i; {sign} = '+' if i >= 0 else '-'")
            digits = f"{{{value}:0{last}d}}"
            return self._digits(
                f"{{{sign}}}{digits}" if item.sign is Sign.LEADING_SEPARATE else f"{digits}{{{sign}}}",
                item.size,
                number,
            )
        plus, minus = (self._sign_characters(raw) for raw in sign_bytes(self.page.ebcdic, self.options.dialect))
        value, sign = self.w.name("i"), self.w.name("w")
        signs = f"({self.w.constant(plus)} if i >= 0 else {self.w.constant(minus)})"
        if item.sign is Sign.TRAILING:
            self.w.line(f"{value}, k = divmod(i if i >= 0 else -i, 10)")
        else:
            self.w.line(f"k, {value} = divmod(i if i >= 0 else -i, {10**last})")
        self.w.line(f"{sign} = {signs}[k]")
        digits = f"{{{value}:0{last}d}}" if last else ""
        return self._digits(
            f"{digits}{{{sign}}}" if item.sign is Sign.TRAILING else f"{{{sign}}}{digits}", item.size, number
        )

    def _sign_characters(self, raw: bytes) -> str:
        """The characters that become the sign bytes when the digits are encoded."""
        return "".join(self.page.digits[byte] for byte in raw)

    def _digits(self, fragment: str, size: int, number: int) -> list[Piece]:
        """Digits and signs: part of the run where the page is a table, else encoded by a page that agrees on them."""
        if self.page.table:
            return [Piece("run", fragment, size, number)]
        self.w.constants.setdefault("DIGITS", digits_encoder(self.page))
        return self._held(f"DIGITS(f'{fragment}')")

    def _copy(self, source: str, prefix: str) -> str:
        """The value under a name that later items do not overwrite."""
        name = self.w.name(prefix)
        self.w.line(f"{name} = {source}")
        return name

    def _national_zoned(self, item: Item, number: int) -> list[Piece]:
        characters = item.size // 2
        digits = characters - (item.sign is not Sign.NONE)
        sign = "('+' if i >= 0 else '-')"
        text = f"f'{{abs(i):0{digits}d}}'"
        text = {Sign.LEADING_SEPARATE: f"{sign} + {text}", Sign.TRAILING_SEPARATE: f"{text} + {sign}"}.get(
            item.sign, text
        )
        if item.blank_when_zero:
            text = f"({text} if i else {' ' * characters!r})"
        return self._held(f"({text}).encode('utf-16-be')")

    def _packed(self, item: Item, number: int) -> list[Piece]:
        assert item.picture is not None, "a packed item has a picture"
        digits = 2 * item.size - 1
        if not item.picture.signed:
            return [Piece("hex", f"{{{self._copy('i', 'i')}:0{digits}d}}f")]
        value, sign = self.w.name("i"), self.w.name("w")
        with self.w.block("if i >= 0:"):
            self.w.line(f"{value} = i; {sign} = 'c'")
        with self.w.block("else:"):
            self.w.line(f"{value} = -i; {sign} = 'd'")
        return [Piece("hex", f"{{{value}:0{digits}d}}{{{sign}}}")]

    def _unsigned_packed(self, item: Item, number: int) -> list[Piece]:
        return [Piece("hex", f"{{{self._copy('i', 'i')}:0{2 * item.size}d}}")]

    def _binary(self, item: Item, number: int) -> list[Piece]:
        assert item.picture is not None, "a binary item has a picture"
        signed = item.picture.signed
        code = STRUCT_CODES.get(item.size)
        if code is None:
            order = "little" if item.little_endian else "big"
            return self._held(f"i.to_bytes({item.size}, {order!r}, signed={signed})")
        code = code if signed else code.upper()
        name = f"PACK_{'L' if item.little_endian else 'B'}{code}"
        self.w.constants.setdefault(name, struct.Struct(("<" if item.little_endian else ">") + code).pack)
        return self._held(f"{name}(i)")

    def _edited(self, item: Item, number: int) -> list[Piece]:
        assert item.picture is not None, "an edited item has a picture"
        picture = edited_picture(item.picture.symbols, blank_when_zero=item.blank_when_zero)
        self.w.line(f"v = {self.w.constant(picture.edit)}(i)")
        return self._text(item, number)

    def _number(self, item: Item, number: int) -> list[Piece]:
        assert item.picture is not None, "a number of a plain layout has its scale there"
        write = number_writer(
            item.size, item.picture.scale, item.pad or " ", point=item.written_point, right=item.align_right
        )
        self.w.line(f"v = {self.w.constant(write)}(i)")
        return self._text(item, number)

    # Text: `v` is the string

    def _text(self, item: Item, number: int) -> list[Piece]:
        double = item.kind in (Kind.NATIONAL, Kind.DBCS)
        length = item.size // 2 if double else item.size
        right = item.justified or item.align_right
        pad = pad_character(item, self.options)
        with self.w.block("if type(v) is not str:"):
            self.w.constants.setdefault("NO_TEXT", no_text)
            self.w.line("raise NO_TEXT(v)")
        if self.page.table and not double:
            if self.options.lenient:
                self.w.line(f"v = v[:{length}]")
            else:
                with self.w.block(f"if len(v) > {length}:"):
                    self.w.line(f"raise Misfit('the text has more than {length} characters')")
            local = self._copy("v", "v")
            fill = "" if pad == " " else pad if pad.isprintable() and pad not in "{}\"'\\" else None
            if fill is None:
                self.w.line(f"{local} = {local}.{'rjust' if right else 'ljust'}({length}, {pad!r})")
                return [Piece("run", f"{{{local}}}", length, number)]
            return [Piece("run", f"{{{local}:{fill}{'>' if right else '<'}{length}}}", length, number)]
        return self._encoded(item, length, pad, right=right, double=double)

    def _encoded(self, item: Item, length: int, pad: str, *, right: bool, double: bool) -> list[Piece]:
        """Text of several bytes a character: encode, then see whether it fits."""
        if item.kind is Kind.NATIONAL:
            encode: Callable[[str], bytes] = _utf16
        elif item.kind is Kind.DBCS:
            if self.page.write_dbcs is None:
                raise CopybookError(
                    f"{item.path}: double-byte items need code page cp930 or cp939",
                    line=item.line,
                    column=item.column,
                    file=item.file,
                )
            encode = self.page.write_dbcs
        else:
            encode = self.page.encode
        filler = encode(pad)
        unit = "characters" if double else "bytes"
        lenient = self.options.lenient

        def fit(text: str) -> bytes:
            raw = encode(text)
            while lenient and len(raw) > item.size:
                text = text[:-1]
                raw = encode(text)
            if len(raw) > item.size:
                raise Misfit(f"the text has more than {length} {unit}")
            padding = filler * ((item.size - len(raw)) // len(filler))
            return padding + raw if right else raw + padding

        return self._held(f"{self.w.constant(fit)}(v)")


def digits_encoder(page: CodePage) -> Callable[[str], bytes]:
    """Digits, signs and blanks of a page of several bytes, by the single-byte page that agrees on them."""
    back = {ord(character): byte for byte, character in enumerate(page.digits)}
    return lambda text: bytes([back[ord(character)] for character in text])


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")
