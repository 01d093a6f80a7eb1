"""Addresses are bound once, and closed so that nobody in the queue is lost."""

from __future__ import annotations

import errno
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.api.settings.listen import Listen
from gateway.runtime.listeners import Bindings, CannotListenError, Listener, listen_tcp, listen_unix, parked_socket

linux = pytest.mark.skipif(sys.platform != "linux", reason="the queue is drained on Linux only")


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    made = listen_tcp(request.param, 0)
    yield made
    made.close()


def test_it_says_where_it_listens(listener: Listener) -> None:
    host = listener.sock.getsockname()[0]
    assert listener.url == f"http://{f'[{host}]' if ':' in host else host}:{listener.port}"
    assert listen_closed("127.0.0.1", scheme="https").startswith("https://127.0.0.1:")


def listen_closed(host: str, scheme: str) -> str:
    made = listen_tcp(host, 0, scheme=scheme)
    made.close()
    return made.url


def test_a_live_listener_is_an_error(listener: Listener) -> None:
    with pytest.raises(CannotListenError, match="the address is in use; stop the program that listens there"):
        listen_tcp(listener.sock.getsockname()[0], listener.port)


def test_names_that_do_not_resolve_and_foreign_addresses_are_errors() -> None:
    with pytest.raises(CannotListenError, match="does not resolve"):
        listen_tcp("no-such-host.invalid", 0)
    with pytest.raises(CannotListenError, match=r"cannot listen on 192\.0\.2\.1:0"):
        listen_tcp("192.0.2.1", 0)


@linux
def test_who_is_queued_is_served_and_nobody_else_comes(listener: Listener) -> None:
    address = listener.sock.getsockname()[:2]
    with socket.create_connection(address) as early:
        early.sendall(b"a request")
        assert listener.queued() == 1
        listener.refuse_new()
        with socket.socket(listener.sock.family) as late:
            late.settimeout(0.05)
            with pytest.raises(TimeoutError):
                late.connect(address)
        accepted, _ = listener.sock.accept()
        with accepted:
            accepted.settimeout(5)
            assert accepted.recv(100) == b"a request"
        assert listener.queued() == 0


def test_a_unix_socket_left_behind_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.sock")
    left = listen_unix(path)
    left.sock.close()
    again = listen_unix(path)
    with pytest.raises(CannotListenError, match="the address is in use"):
        listen_unix(path)
    again.refuse_new()
    assert not Path(path).exists()
    again.close()


def test_a_file_is_never_replaced_by_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "important.txt"
    path.write_text("kept")
    with pytest.raises(CannotListenError):
        listen_unix(str(path))
    assert path.read_text() == "kept"


def test_nobody_can_connect_to_a_parked_socket() -> None:
    with parked_socket(unix=True) as parked:
        path = parked.getsockname()
        assert not Path(path).exists()
        with pytest.raises(BlockingIOError):
            parked.accept()


@linux
def test_a_parked_tcp_socket_answers_no_syn() -> None:
    with parked_socket(unix=False) as parked, socket.socket() as caller:
        caller.setblocking(False)
        assert caller.connect_ex(parked.getsockname()) == errno.EINPROGRESS
        assert not select.select([], [caller], [], 0.05)[1]
        with pytest.raises(BlockingIOError):
            parked.accept()


def test_bindings_keep_what_stays(tmp_path: Path) -> None:
    bindings = Bindings()
    first, second = Listen(host="127.0.0.1", port=0), Listen(unix=str(tmp_path / "socket"))
    (tcp,) = bindings.bind_all([first])
    assert bindings.bind_all([second, first])[1] is tcp
    bindings.keep_only([first])
    assert not (tmp_path / "socket").exists()
    bindings.keep_only([])
    assert tcp.sock.fileno() == -1


def test_bindings_change_nothing_when_an_address_cannot_be_bound(tmp_path: Path) -> None:
    bindings = Bindings()
    first = Listen(host="127.0.0.1", port=0)
    (tcp,) = bindings.bind_all([first])
    with pytest.raises(CannotListenError):
        bindings.bind_all([first, Listen(unix=str(tmp_path / "socket")), Listen(host="127.0.0.1", port=tcp.port)])
    assert not (tmp_path / "socket").exists()
    assert tcp.sock.fileno() != -1
    with pytest.raises(CannotListenError, match="twice"):
        bindings.bind_all([first, first])
    bindings.keep_only([])
