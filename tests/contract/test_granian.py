"""What the runtime relies on in Granian's private parts. A new minor version that breaks this is not taken."""

from __future__ import annotations

import inspect
import os
import socket
from importlib.metadata import version

from granian import _futures
from granian._granian import SocketHolder
from granian.http import HTTP1Settings
from granian.server.common import AbstractServer
from granian.server.embed import AsyncWorker, Server

from gateway.runtime.granian_server import _by_the_turn


def test_the_version_is_the_pinned_one() -> None:
    assert version("granian").startswith("2.8.")


def test_an_embedded_server_asks_for_its_socket_in_one_place() -> None:
    assert "self._init_shared_socket()" in inspect.getsource(Server.startup)
    assert "(self._ssp, self._shd)" in inspect.getsource(Server._spawn_worker)
    assert "(sock[0] or sock[1]).is_uds()" in inspect.getsource(Server._spawn_asgi_worker)
    assert "def _init_shared_socket(self):" in inspect.getsource(AbstractServer)


def test_a_socket_holder_takes_a_descriptor_and_leaves_it_open() -> None:
    with socket.socket() as sock:
        holder = SocketHolder(sock.fileno(), False, 16)
        assert holder.get_fd() == sock.fileno()
        assert holder.is_uds() is False
        del holder
        os.fstat(sock.fileno())


def test_requests_are_scheduled_by_a_function_that_can_be_replaced() -> None:
    assert "_cbsched_aioschedule(loop, self._ctx, cb)" in inspect.getsource(_futures._CBSchedulerAIO.__init__)
    assert inspect.signature(_by_the_turn).parameters.keys() == {"loop", "context", "serve"}
    assert _futures._cbsched_aioschedule is _by_the_turn


def test_stopping_is_one_flag_and_one_event() -> None:
    source = inspect.getsource(AbstractServer.signal_handler_interrupt)
    assert "self.interrupt_signal = True" in source
    assert "self.main_loop_interrupt.set()" in source
    assert "self._sig.set()" in inspect.getsource(AsyncWorker.terminate)


def test_the_bounds_that_are_set_exist() -> None:
    settings = HTTP1Settings(header_read_timeout=75_000, max_buffer_size=16_384)
    assert (settings.header_read_timeout, settings.max_buffer_size) == (75_000, 16_384)
