"""How values fail to fit: on the way out (the caller's JSON) and on the way back (the backend's XML)."""

from __future__ import annotations


class Misfit(Exception):
    """The caller's JSON does not fit the schema. `path` holds keys and indexes, innermost first."""

    def __init__(self, detail: str, *path: str | int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.path: list[str | int] = list(path)

    @property
    def pointer(self) -> str:
        """RFC 6901."""
        return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in reversed(self.path))


class Odd(Exception):
    """A text of an answer is not of its type. The detail holds none of it."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Deviation(Exception):
    """An answer is not by the schema. `where` names the element by its path."""

    def __init__(self, detail: str, where: str = "") -> None:
        super().__init__(f"{where}: {detail}" if where else detail)
        self.detail = detail
        self.where = where
