"""The page for partners: every call is made against the demo, in the order of the page."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from gateway.demo.running import Demo
from tests.unit.docs.steps import Terminal, blocks

PAGE = "docs/partners.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's calls need curl, which is not installed")
def test_every_call_shows_what_it_says(tmp_path: Path) -> None:
    async def play() -> list[str]:
        async with Demo() as demo:
            places = demo.places
            environment = {
                "PATH": os.environ["PATH"],
                "API": places.gateway,
                "ISSUER": places.issuer,
                "KEY": places.api_key,
            }
            async with Terminal(tmp_path, environment) as terminal:
                return [output for block in blocks(PAGE) for output in await terminal.run(block)]

    outputs = asyncio.run(play())
    assert len(outputs) == len([command for block in blocks(PAGE) for command in block.commands()])
    orders = [re.findall(r"^location: (\S+)", output, re.MULTILINE | re.IGNORECASE) for output in outputs]
    first, second = [found for found in orders if found]
    assert first == second, "a repeated order is one order"
