"""The two ways a fixed-width conversation goes wrong: a layout that makes no sense, a record that does not fit.

Knows nothing of HTTP; the adapter decides what a partner is told.
"""


class CopybookError(ValueError):
    """A copybook or layout that cannot be used, with its place. Raised while configuration is compiled.

    `line` and `column` count from 1; 0 where the file as a whole is meant.
    """

    def __init__(self, message: str, *, line: int = 0, column: int = 0, file: str = "") -> None:
        self.message = message
        self.line = line
        self.column = column
        self.file = file
        place = ":".join(str(part) for part in (file or ("copybook" if line else ""), line, column) if part)
        super().__init__(f"{place}: {message}" if place else message)


class RecordError(ValueError):
    """A record that does not fit its layout, or values that do not fit into a record.

    `reason` never quotes the data, so it may be shown to a partner; `raw` holds the bytes at fault for whoever
    owns the file. `offset` counts bytes from 0 at the start of the record; `record` counts records from 1, 0
    where there is only one; `position` is where that record starts in its stream, -1 where there is none. `pointer`
    is the JSON pointer of the member at fault.
    """

    def __init__(
        self,
        reason: str,
        *,
        field: str = "",
        offset: int = 0,
        record: int = 0,
        pointer: str = "",
        raw: bytes | None = None,
    ) -> None:
        self.reason = reason
        self.field = field
        self.offset = offset
        self.record = record
        self.pointer = pointer
        self.raw = raw
        self.position = -1
        super().__init__(reason)

    @property
    def told(self) -> str:
        """Where and why, with nothing of the data."""
        record = f"record {self.record}, " if self.record else ""
        return f"{record}{self.place}: {self.reason}"

    @property
    def place(self) -> str:
        """Where in its record."""
        return f"{self.field or 'the record'} at offset {self.offset}"

    def __str__(self) -> str:
        where = [f"record {self.record}"] if self.record else []
        if self.field:
            where.append(f"field {self.field}")
        where.append(
            f"offset {self.offset}"
            + (f" (byte {self.position + self.offset} of the data)" if self.position >= 0 else "")
        )
        return f"{', '.join(where)}: {self.reason}"
