"""`sluicegate demo`: starts the demo and keeps it until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal

import typer
import uvloop

from gateway.telemetry import logs


def command(app: typer.Typer) -> None:
    """Register `demo` on the application."""

    @app.command("demo", epilog="Example: sluicegate demo")
    def demo() -> None:
        """Try Sluicegate: gateway, demo APIs and demo issuer in one process, and calls to paste into a shell.

        Everything listens on free ports of 127.0.0.1, and is written to a temporary folder that goes with the demo.
        """
        logs.configure("info")
        uvloop.run(_run())


async def _run() -> None:
    from gateway.demo.running import Demo  # noqa: PLC0415  # only here: --help of this command needs none of it

    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ending.set)
    async with Demo() as demo:
        typer.echo(demo.guide())
        await ending.wait()
    typer.echo("The demo has ended; its folder is gone.")
