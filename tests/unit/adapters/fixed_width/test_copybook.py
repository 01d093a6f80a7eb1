"""Copybooks: what is understood, where things lie, and what is refused at which line and column."""

from pathlib import Path

import pytest

from adapters.fixed_width.copybook import parse_copybook
from adapters.fixed_width.copybook.picture import parse_picture
from adapters.fixed_width.errors import CopybookError
from adapters.fixed_width.model import Item, Kind, Layout, Sign
from adapters.fixed_width.reading import read_layout


def fixed(text: str) -> str:
    """Source lines moved into area A of the fixed format."""
    return "\n".join("       " + line for line in text.strip("\n").split("\n"))


def parse(text: str, **options: str) -> Layout:
    return parse_copybook(fixed(text), **options)


def item(layout: Layout, name: str) -> Item:
    return next(found for record in layout.records for found in record.walk() if found.name == name)


def places(layout: Layout) -> dict[str, tuple[int, int]]:
    return {found.name: (found.offset, found.size) for found in layout.records[0].walk() if found.name}


@pytest.mark.parametrize(
    ("picture", "category", "size", "digits", "scale"),
    [
        ("X(10)", "alphanumeric", 10, 0, 0), ("A(3)", "alphabetic", 3, 0, 0), ("X9A", "alphanumeric", 3, 0, 0),
        ("9(5)V99", "numeric", 7, 7, 2), ("S9(4)", "numeric", 4, 4, 0), ("SV9(3)", "numeric", 3, 3, 3),
        ("9(3)PPP", "numeric", 3, 3, -3), ("9(3)PPPV", "numeric", 3, 3, -3), ("VPP9(3)", "numeric", 3, 3, 5), ("PP99", "numeric", 2, 2, 4),
        ("9V", "numeric", 1, 1, 0), ("s9(4)v9", "numeric", 5, 5, 1),
        ("N(4)", "national", 4, 0, 0), ("G(4)", "dbcs", 4, 0, 0), ("XX/XX", "alphanumeric-edited", 5, 0, 0),
        ("ZZ,ZZ9.99-", "numeric-edited", 10, 7, 2), ("$$$9.99CR", "numeric-edited", 9, 5, 2), ("--9", "numeric-edited", 3, 2, 0),
        ("ZZV99", "numeric-edited", 4, 4, 2), ("99/99", "numeric-edited", 5, 4, 0),
    ],
)  # fmt: skip
def test_pictures(picture: str, category: str, size: int, digits: int, scale: int) -> None:
    found = parse_picture(picture)
    assert (found.category, found.size, found.digits, found.scale) == (category, size, digits, scale)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("X(", "parenthesis"), ("X()", "parenthesis"), ("(3)", "parenthesis"), ("X(0)", "zero"), ("Q(3)", "unknown symbol 'Q'"),
        ("9V9V9", "V stands once"), ("S9S", "S comes first"), ("9S", "S comes first"), ("PP9PP", "one end"), ("9PP9", "one end"),
        ("S", "no digit"), ("ZZ*9", "exclude"), ("$$++9", "one kind"), ("9.9.9", "one decimal point"), ("9CR9", "at the end"), ("+9-", "one sign"),
        ("9(32)", "at most 31"), ("X(999999999)", "more than"), ("X(99999999999999)", "more than"), ("Z9P", "not supported"), ("SZ9", "beside"),
    ],
)  # fmt: skip
def test_pictures_that_make_no_sense(picture: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_picture(picture)


def test_fixed_format() -> None:
    layout = parse_copybook(
        "000100 01  REC.                                                         CHANGE01\n"
        "000200*    A comment with 05 NOTHING PIC X.\n"
        "000300     05  FIRST-ONE  PIC X(3).                                     ignored\n"
        "000400D    05  DEBUGGED   PIC X.\n"
        "000500/\n"
        "000600     05  LONG-N\n"
        "000700-        AME   PIC 9(4)   *> and a remark\n"
        "000800              COMP.\n"
        "000900     EJECT\n"
        "           05  QUOTED PIC X(80) VALUE 'one literal that is longer than t\n"
        "      -    'he rest of its line'.\n"
    )
    assert places(layout) == {"REC": (0, 85), "FIRST-ONE": (0, 3), "LONG-NAME": (3, 2), "QUOTED": (5, 80)}
    value = item(layout, "QUOTED").value
    assert value
    assert value.text == "one literal that is longer than t" + "he rest of its line"


@pytest.mark.parametrize(
    "source",
    [
        "01 REC.\n  05 A PIC X(3). *> remark\n  05 B PIC 9(4) COMP.",
        ">>SOURCE FORMAT IS FREE\n01 REC. 05 A PIC X(3). 05 B PIC 9(4) COMP.",
        "      01 REC.\n          05 A PIC X(3).\n      ****** comment\n          05 B PIC 9(4) COMP.\n",
        "       01 REC.\n           05 A PIC X(3).\n           05 B" + " " * 60 + "PIC 9(4) COMP.\n",
        "\t01 REC.\n\t05 A PIC X(3).\n\t05 B PIC 9(4) COMP.\n",
        "       01 REC.\r\n           05 A PICTURE IS X(3) .\r\n           05 B PIC 9(4), USAGE IS COMPUTATIONAL.\r\n",
    ],
)
def test_free_format_and_how_files_really_look(source: str) -> None:
    assert places(parse_copybook(source)) == {"REC": (0, 5), "A": (0, 3), "B": (3, 2)}


@pytest.mark.parametrize(
    ("clauses", "dialect", "kind", "size"),
    [
        ("PIC S9(4) COMP", "ibm", Kind.BINARY, 2), ("PIC S9(5) COMP", "ibm", Kind.BINARY, 4), ("PIC 9(10) BINARY", "ibm", Kind.BINARY, 8),
        ("PIC S9(2) COMP", "gnucobol", Kind.BINARY, 1), ("PIC S9(9) COMP-5", "gnucobol", Kind.BINARY, 4),
        ("PIC S9(6) COMP", "microfocus", Kind.BINARY, 3), ("PIC 9(7) COMP", "microfocus", Kind.BINARY, 3), ("PIC 9(12) COMP", "microfocus", Kind.BINARY, 5),
        ("PIC S9(16) COMP", "microfocus", Kind.BINARY, 7), ("PIC S9(7) COMP-5", "microfocus", Kind.BINARY, 4),
        ("PIC S9(7) COMP-3", "ibm", Kind.PACKED, 4), ("PIC S9(8) PACKED-DECIMAL", "ibm", Kind.PACKED, 5), ("PIC 9(5) COMP-6", "gnucobol", Kind.UNSIGNED_PACKED, 3),
        ("COMP-1", "ibm", Kind.FLOAT, 4), ("USAGE COMPUTATIONAL-2", "ibm", Kind.DOUBLE, 8),
        ("PIC S9(4) SIGN LEADING SEPARATE", "ibm", Kind.ZONED, 5), ("PIC S9(4) TRAILING", "ibm", Kind.ZONED, 4),
        ("PIC N(4)", "ibm", Kind.NATIONAL, 8), ("PIC N(4) DISPLAY-1", "ibm", Kind.DBCS, 8), ("PIC G(4) DISPLAY-1", "ibm", Kind.DBCS, 8),
        ("PIC 9(4) NATIONAL", "ibm", Kind.NATIONAL_ZONED, 8), ("PIC ZZ9.99", "ibm", Kind.EDITED, 6),
    ],
)  # fmt: skip
def test_storage(clauses: str, dialect: str, kind: Kind, size: int) -> None:
    found = item(parse(f"01 R.\n   05 A {clauses}.", dialect=dialect), "A")
    assert (found.kind, found.size) == (kind, size)


def test_group_clauses_hold_below() -> None:
    layout = parse(
        "01 R.\n   05 G COMP-3.\n      10 A PIC S9(3).\n      10 B PIC S9(5).\n   05 S SIGN LEADING SEPARATE.\n      10 C PIC S9.\n      10 D PIC X.\n      10 E PIC 9."
    )
    assert [item(layout, name).size for name in "ABCDE"] == [2, 3, 2, 1, 1]
    assert item(layout, "C").sign is Sign.LEADING_SEPARATE


def test_slack_bytes() -> None:
    """The examples of "Slack bytes within records" and "between occurrences": before the group whose first item is aligned."""
    layout = parse(
        "01 R.\n  05 A PIC X(5).\n  05 B PIC XX.\n  05 C.\n    10 D PIC S9(6) COMP SYNC.\n"
        "  05 T OCCURS 2.\n    10 T1 PIC X.\n    10 T2 COMP-2 SYNC.\n    10 T3 PIC X."
    )
    assert places(layout) == {"R": (0, 60), "A": (0, 5), "B": (5, 2), "C": (8, 4), "D": (8, 4), "T": (12, 21), "T1": (12, 1), "T2": (16, 8), "T3": (24, 1)} | {
        "T": (12, 13), "R": (0, 44),
    }  # fmt: skip


def test_levels_66_77_88_and_several_records() -> None:
    layout = parse(
        "01 ONE.\n   05 A PIC X.\n      88 YES VALUE 'Y' 'J'.\n      88 RANGE-OK VALUES ARE 'A' THRU 'C', 'X'.\n   05 B PIC X.\n66 AB RENAMES A THRU B.\n01 TWO REDEFINES ONE PIC XX.\n77 LONE PIC 9(3) VALUE ZERO."
    )
    assert [(record.name, record.level, record.size) for record in layout.records] == [
        ("ONE", 1, 2),
        ("TWO", 1, 2),
        ("LONE", 77, 3),
    ]
    assert [(condition.name, len(condition.values)) for condition in item(layout, "A").conditions] == [
        ("YES", 2),
        ("RANGE-OK", 2),
    ]
    assert [(rename.name, rename.first.name, rename.last.name) for rename in layout.renames] == [("AB", "A", "B")]


def test_clauses_as_they_are_really_written() -> None:
    layout = parse(
        "1 REC.\n  03 A PIC X(08) VALUE \"it's\".\n     88 A-B VALUE 'A','B', 'C'.\n  03 B PIC S9(7)V9(2) USAGE IS COMP-3 VALUE +0.\n  03 C PIC 9(3)\n"
        "       VALUE IS ZEROS.\n  03 D PIC S9V9 VALUE -1.5.\n  03 E PIC -(5)9.99.\n  03 F OCCURS 2 TIMES ASCENDING KEY IS G INDEXED BY I-1 I-2.\n"
        "     05 G PIC X VALUE ALL '*'.\n     05 PIC X.\n  03 I PIC 9(5).99.\n  03 J PIC X(2) VALUE X'C1C2'."
    )
    assert places(layout) == {
        "REC": (0, 41), "A": (0, 8), "B": (8, 5), "C": (13, 3), "D": (16, 2), "E": (18, 9), "F": (27, 2), "G": (27, 1), "I": (31, 8), "J": (39, 2),
    }  # fmt: skip
    assert [str(item(layout, name).value and item(layout, name).value.text) for name in "ABCDJ"] == [
        "it's",
        "+0",
        "ZEROS",
        "-1.5",
        "C1C2",
    ]
    assert len(item(layout, "A").conditions[0].values) == 3


def test_a_copybook_may_start_below_01() -> None:
    assert places(parse("05 A PIC X.\n05 B PIC XX.")) == {"RECORD": (0, 3), "A": (0, 1), "B": (1, 2)}


def test_copy_replacing(tmp_path: Path) -> None:
    (tmp_path / "main.cpy").write_text(
        "       01  REC.\n           COPY PART REPLACING ==:TAG:== BY ==CUST==\n               ==:LEN:== BY ==12== LEADING ==OLD-== BY ==NEW-==\n"
        "               XYZ BY ABC.\n           05 TAIL PIC X.\n"
    )
    (tmp_path / "part.cpy").write_text(
        "           05 :TAG:-NAME PIC X(:LEN:).\n           05 OLD-CODE PIC 9.\n           05 XYZ PIC 99.\n           COPY 'deep.inc'.\n"
    )
    (tmp_path / "deep.inc").write_text("           05 OLD-DEEP-:TAG: PIC X.\n")
    layout = read_layout(tmp_path / "main.cpy")
    assert places(layout) == {
        "REC": (0, 17),
        "CUST-NAME": (0, 12),
        "NEW-CODE": (12, 1),
        "ABC": (13, 2),
        "NEW-DEEP-CUST": (15, 1),
        "TAIL": (16, 1),
    }
    assert [Path(file).name for file in layout.files] == ["main.cpy", "deep.inc", "part.cpy"]


def test_copy_that_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.cpy").write_text("       01 A.\n           COPY B.\n")
    (tmp_path / "b.cpy").write_text("           COPY A.\n")
    with pytest.raises(CopybookError, match=r"b\.cpy:1:17: COPY A is cyclic: a\.cpy -> b\.cpy -> a\.cpy"):
        read_layout(tmp_path / "a.cpy")
    (tmp_path / "c.cpy").write_text("       01 A.\n           COPY NOPE IN LIB.\n")
    with pytest.raises(CopybookError, match=r"c\.cpy:2:17: COPY NOPE: no such member \(looked in "):
        read_layout(tmp_path / "c.cpy")
    with pytest.raises(CopybookError, match="cannot be read"):
        read_layout(tmp_path / "gone.cpy")


REFUSED = [
    ("01 R.\n   05 A PIC X(3)\n   05 B PIC X.", "3:11: unknown clause '05'"),
    ("01 R.\n   05 A PIC X COLOUR RED.", "2:22: unknown clause 'COLOUR'"),
    ("01 R.\n   05 A PIC X OCURS 3.", "2:22: unknown clause 'OCURS'; did you mean OCCURS?"),
    ("01 R.\n   05 A PIC 9 USAGE CMP-3.", "2:28: unknown USAGE 'CMP-3'; did you mean COMP-3?"),
    ("01 R.\n   05 A USAGE POINTER.", "2:22: USAGE POINTER has no meaning outside of the program"),
    ("01 R.\n   05 A.", "2:14: A: neither a group nor an item with a PICTURE"),
    ("01 R.\n   05 A PIC X.\n      10 B PIC X.", "2:14: A: PICTURE does not go with a group"),
    ("01 R.\n   50 A PIC X.", "2:11: level 50"),
    ("01 R.\n   05 A PIC X(3.", "2:20: A: PICTURE X(3: a parenthesis"),
    ("01 R.\n   05 A PIC 9(19) COMP.", "2:14: A: a binary item has at most 18 digits"),
    ("01 R.\n   05 A PIC X COMP-3.", "an alphanumeric PICTURE does not go with USAGE COMP-3"),
    ("01 R.\n   05 A PIC 9(4) COMP-6.", "COMP-6 is not Enterprise COBOL"),
    ("01 R.\n   05 A PIC 9(4) COMP-1.", "takes no PICTURE"),
    ("01 R.\n   05 A PIC 9 SIGN LEADING.", "SIGN goes with"),
    ("01 R.\n   05 A PIC 9 JUSTIFIED.", "JUSTIFIED goes with text"),
    ("01 R.\n   05 A PIC S9 BLANK WHEN ZERO.", "BLANK WHEN ZERO goes with"),
    ("01 R.\n   05 A PIC X OCCURS 0 TIMES.", "2:22: OCCURS: the most is at least 1"),
    ("01 R.\n   05 A PIC X OCCURS -3.", "2:29: OCCURS: a number of times is expected, not '-3'"),
    ("01 R.\n   05 A PIC X OCCURS 5 TO 2 DEPENDING ON R.", "counts down"),
    ("01 R.\n   05 A PIC X OCCURS 1 TO 2.", "needs DEPENDING ON"),
    ("01 R.\n   05 N PIC 9.\n   05 A PIC X OCCURS 1 TO UNBOUNDED DEPENDING ON N.", "no longest length"),
    (
        "01 R.\n   05 COUNT-X PIC 9.\n   05 A PIC X OCCURS 3 DEPENDING ON COUNT-Y.",
        "3:44: DEPENDING ON COUNT-Y: no such item in the record; did you mean COUNT-X?",
    ),
    ("01 R.\n   05 A PIC X OCCURS 3 DEPENDING ON N.\n   05 N PIC 9.", "must stand before"),
    ("01 R.\n   05 N PIC X.\n   05 A PIC X OCCURS 3 DEPENDING ON N.", "must be an integer"),
    ("01 R.\n   05 T OCCURS 2.\n      10 N PIC 9.\n   05 A PIC X OCCURS 3 DEPENDING ON N.", "inside of another table"),
    (
        "01 R.\n   05 A PIC X.\n   05 B REDEFINES C PIC X.",
        "3:26: REDEFINES C: no item of level 05 with that name before it",
    ),
    ("01 R.\n   05 A PIC X.\n   05 M PIC X.\n   05 B REDEFINES A PIC X.", "other storage lies between"),
    (
        "01 R.\n   05 A PIC X.\n   05 B REDEFINES A PIC XX.\n   05 C PIC X.",
        "3:14: B has 2 bytes and redefines A, which has 1",
    ),
    (
        "01 R.\n   05 T OCCURS 2.\n   10 A PIC X.\n   10 B REDEFINES A PIC XX.",
        "4:14: B has 2 bytes and redefines A, which has 1",
    ),
    ("01 R.\n   05 A PIC X OCCURS 2.\n   05 B REDEFINES A PIC XX.", "the redefined item has OCCURS"),
    ("01 R.\n   05 A PIC X.\n   05 A PIC X.", "A stands twice in R; first in line 2"),
    ("01 R OCCURS 3.\n   05 A PIC X.", "OCCURS does not go with level 01"),
    ("01 R.\n   05 A PIC X VALUE.", "2:27: a literal is expected, not '.'"),
    ("01 R.\n   05 A PIC X VALUE 'abc.", "closing quotation mark"),
    ("01 R.\n   05 A PIC X", "a period is missing"),
    ("01 R.\n   05 :TAG:-A PIC X.", "a :TAG: that only COPY"),
    ("66 X RENAMES Y.", "level 66 takes"),
    ("88 X VALUE 1.", "no item before it"),
    ("IDENTIFICATION DIVISION.", "this is a program"),
    ("*> nothing", "no data description entry"),
    ("01 R.\n   05 A PIC X PIC X.", "a second PICTURE clause"),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_copybooks_that_make_no_sense(source: str, message: str) -> None:
    with pytest.raises(CopybookError) as caught:
        parse(source)
    assert message in str(caught.value)


def test_a_longer_redefinition_elsewhere() -> None:
    layout = parse("01 R.\n   05 A PIC X.\n   05 B REDEFINES A PIC XX.\n   05 C PIC X.", dialect="gnucobol")
    assert places(layout) == {"R": (0, 3), "A": (0, 1), "B": (0, 2), "C": (2, 1)}


def test_a_redefined_table_elsewhere() -> None:
    layout = parse(
        "01 R.\n   05 A PIC X OCCURS 3.\n   05 B REDEFINES A PIC X(3).\n   05 C PIC X.", dialect="microfocus"
    )
    assert places(layout) == {"R": (0, 4), "A": (0, 1), "B": (0, 3), "C": (3, 1)}


@pytest.mark.parametrize("clause", ["EXTERNAL", "IS EXTERNAL", "IS GLOBAL", "GLOBAL VOLATILE"])
def test_clauses_about_the_program_change_nothing(clause: str) -> None:
    assert places(parse(f"01 R {clause}.\n   05 A PIC X.")) == {"R": (0, 1), "A": (0, 1)}


def test_segments_of_different_lengths_at_the_end_of_a_record() -> None:
    """Files with several kinds of records are described so, though a compiler would want level 01."""
    source = (
        "01 R.\n   05 K PIC X.\n   05 A PIC X.\n   05 B REDEFINES A.\n      10 C PIC X(3).\n   05 D REDEFINES A PIC XX."
    )
    assert places(parse(source)) == {"R": (0, 4), "K": (0, 1), "A": (1, 1), "B": (1, 3), "C": (1, 3), "D": (1, 2)}


def test_synchronized_groups_align_what_they_contain() -> None:
    layout = parse("01 R SYNC. 05 A PIC X. 05 B PIC S9(8) COMP. 05 G. 10 C PIC X. 10 D COMP-2.")
    assert places(layout) == {"R": (0, 24), "A": (0, 1), "B": (4, 4), "G": (8, 16), "C": (8, 1), "D": (16, 8)}


def test_conditions_may_say_false_without_when_set_to() -> None:
    field = item(parse("01 R. 05 A PIC X. 88 YES VALUE 'Y' FALSE 'N'. 88 NO VALUE 'N' 'n' FALSE IS 'Y'."), "A")
    assert [len(condition.values) for condition in field.conditions] == [1, 2]


@pytest.mark.parametrize("text", ["1.5E3", "+1.5E+03", "-.5e-2"])
def test_floating_point_literals(text: str) -> None:
    value = item(parse(f"01 R. 05 A COMP-2 VALUE {text}."), "A").value
    assert value is not None
    assert (value.text, value.kind) == (text, "number")
