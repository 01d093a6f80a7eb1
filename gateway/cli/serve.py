"""`sluicegate serve`: runs the supervisor in the foreground. Everything it says goes to stderr as JSON lines."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.compile import Compiler
from gateway.compile.registry import RegistryError
from gateway.ops.application import ops_application
from gateway.runtime.supervisor import CANNOT_SERVE, Supervisor
from gateway.runtime.worker_process import WorkerOptions
from gateway.telemetry import logs

PLANE = "gateway.runtime.installed_plane:make_plane"


class ServerName(StrEnum):
    AUTO = "auto"
    GRANIAN = "granian"
    UVICORN = "uvicorn"


def command(app: typer.Typer) -> None:
    """Register `serve` on the application."""

    @app.command("serve", epilog="Example: sluicegate serve --config ./config --workers 2 --watch")
    def serve(
        config: ConfigOption = DEFAULT_CONFIG,
        workers: Annotated[int, typer.Option(min=1, help="Processes that answer requests; one a core.")] = 1,
        server: Annotated[
            ServerName, typer.Option(help="HTTP server of all listeners; auto takes what each listener needs.")
        ] = ServerName.AUTO,
        watch: Annotated[
            bool, typer.Option("--watch", help="Reload when a file of the configuration changes.")
        ] = False,
        state: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR",
                envvar="STATE_DIRECTORY",
                help="Folder for what must last, unless the configuration has `state`.  [default: ./.sluicegate]",
            ),
        ] = None,
    ) -> None:
        """Serve a configuration until a signal ends it.

        SIGTERM drains, SIGINT drains without the delay, a second one ends at once; SIGHUP reloads.
        Ends with 0, with 2 when the configuration has errors or an address is in use.
        """
        logs.configure("info")
        environment = {} if state is None else {"STATE_DIRECTORY": str(state.absolute())}
        os.environ.update(environment)  # the ops port looks into the same folder
        options = WorkerOptions(PLANE, workers, server.value, environment)
        try:
            compiler = Compiler(config)
        except RegistryError as exc:
            typer.echo(str(exc), err=True)
            raise typer.Exit(CANNOT_SERVE) from exc

        async def run() -> int:
            folders = [config, config / "routes"] if watch else None
            return await Supervisor(compiler.compile, options, ops_app=ops_application, watch=folders).run()

        raise typer.Exit(uvloop.run(run()))
