"""Pages that are followed step by step: their files are written, their commands typed into one shell, and what they show is looked for.

In a page, a block says what it is behind its language: the name of a file, or `sh run` for commands. Behind a command stands what
its output holds: `command   # this`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
BOUND_S = 60.0  # for one command, on a busy machine
BLOCK = re.compile(r"^```([a-z]+) (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
END = "the command ended with"


@dataclass(frozen=True)
class Block:
    language: str
    name: str  # of a file, or what is to be done with commands
    text: str

    def commands(self) -> Iterator[tuple[str, str]]:
        """Each command, and what its output holds."""
        for line in self.text.replace("\\\n", "").splitlines():
            command, _, shows = line.partition("  # ")
            yield command.strip(), shows.strip()

    def write(self, folder: Path, put: Mapping[str, str] | None = None) -> None:
        (folder / self.name).parent.mkdir(parents=True, exist_ok=True)
        (folder / self.name).write_text(replaced(self.text, put), encoding="utf-8")


def replaced(text: str, put: Mapping[str, str] | None) -> str:
    """`text` with what is there in place of what the page says."""
    for says, there in (put or {}).items():
        text = text.replace(says, there)
    return text


def blocks(page: str) -> list[Block]:
    return [Block(*found.groups()) for found in BLOCK.finditer((ROOT / page).read_text(encoding="utf-8"))]


class Terminal:
    """A shell that a reader types into: its variables last from one command to the next.

    async with Terminal(folder, environment) as terminal:
        await terminal.run(block)
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    async def __aenter__(self) -> Terminal:
        pipe, out = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        self._shell = await asyncio.create_subprocess_exec(
            "sh", cwd=self._folder, env=self._environment, stdin=pipe, stdout=pipe, stderr=out
        )
        return self

    async def __aexit__(self, *details: object) -> None:
        if self._shell.returncode is None:
            self._shell.kill()
        await self._shell.communicate()

    async def type(self, command: str) -> tuple[int, str]:
        """The command's status, and what it wrote."""
        reader, writer = self._shell.stdout, self._shell.stdin
        assert reader is not None
        assert writer is not None
        writer.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{END} %d\\n' $?\n".encode())
        written = ""
        async with asyncio.timeout(BOUND_S):
            async for line in reader:
                if line.decode().startswith(END):
                    return int(line.split()[-1]), written
                written += line.decode()
        raise AssertionError(f"the shell ended: {command}: {written}")

    async def run(self, block: Block, put: Mapping[str, str] | None = None) -> list[str]:
        """Type the commands of a block; what they wrote."""
        outputs = []
        for written, shows in block.commands():
            command = replaced(written, put)
            status, output = await self.type(command)
            assert status == 0 or shows, (command, output)
            assert shows.lower() in output.lower(), (command, shows, output)
            outputs.append(output)
        return outputs
