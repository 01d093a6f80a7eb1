"""Every play on a Redis store is performed on both event loops."""

import asyncio

import pytest
import uvloop


@pytest.fixture(params=["asyncio", "uvloop"])
def play(request):
    """`play(scenario())` runs a coroutine to its end."""
    return {"asyncio": asyncio.run, "uvloop": uvloop.run}[request.param]
