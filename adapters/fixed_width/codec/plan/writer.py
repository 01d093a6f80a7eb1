"""Generated code as it grows: lines, indentation, names, constants. Knows nothing of records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any


@dataclass(slots=True)
class Writer:
    """A function body under construction. Lines may be reserved and filled in later."""

    constants: dict[str, Any] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)
    _indent: int = 1
    _count: int = 0
    _names: dict[int, str] = field(default_factory=dict)

    def line(self, text: str) -> None:
        self._lines.append("    " * self._indent + text)

    def reserve(self) -> int:
        """A line to be filled in by `fill`; left empty otherwise."""
        self._lines.append("    " * self._indent)
        return len(self._lines) - 1

    def fill(self, reserved: int, text: str) -> None:
        self._lines[reserved] += text

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """`head` and what it governs; an empty block passes."""
        self.line(head)
        self._indent += 1
        before = len(self._lines)
        yield
        if not any(line.strip() for line in self._lines[before:]):
            self.line("pass")
        self._indent -= 1

    def name(self, prefix: str) -> str:
        """A local name that is used nowhere else."""
        self._count += 1
        return f"{prefix}{self._count}"

    def constant(self, value: object, prefix: str = "K") -> str:
        """A global name for a value that source text cannot hold; one object has one name."""
        name = self._names.get(id(value))  # ids stay: the constants keep their values alive
        if name is None:
            name = self._names[id(value)] = self.name(prefix)
            self.constants[name] = value
        return name

    @property
    def source(self) -> str:
        return "\n".join(line for line in self._lines if line.strip())

    def function(self, signature: str, origin: str) -> Any:
        """Compile the body as a function; its globals are the constants."""
        source = f"def {signature}:\n{self.source}\n"
        code: CodeType = compile(source, f"<{origin}>", "exec")
        namespace: dict[str, Any] = dict(self.constants)
        exec(code, namespace)  # noqa: S102  # our own text: names and figures come from the parsed layout by repr()
        name = signature.partition("(")[0]
        return namespace.pop(name)  # a function in its own globals would never be freed by itself
