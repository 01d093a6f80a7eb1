"""Folders as upstreams: files appear whole or not at all, answers reach one caller each, nothing is overwritten or lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from gateway.api.errors import Cause, RequestRefused, Unmappable, UpstreamError
from gateway.api.messages import Abort, Body, FileNames, Headers, OnSlow, Response, UpstreamRequest
from gateway.api.settings.upstream import UpstreamConfig
from gateway.upstream.drop.client import DropUpstream
from gateway.upstream.drop.folder import Part, take
from gateway.upstream.sweep import Sweep

Play = Callable[[Callable[[], Awaitable[None]]], None]


def client(folder: Path) -> DropUpstream:
    drop = {"name": "{file.unique}", "answers": "*", "poll": "10ms"}
    config = UpstreamConfig.model_validate({"targets": [f"file://{folder}"], "drop": drop})
    return DropUpstream("files", config, Sweep(asyncio.get_running_loop()))


async def send(
    upstream: DropUpstream,
    body: bytes | Body | None,
    name: str = "a.dat",
    answers: str | None = None,
    *,
    within_s: float = 5.0,
    on_slow: OnSlow | None = None,
) -> Response:
    request = UpstreamRequest("POST", b"/", Headers(), body, on_slow, file=FileNames(name, answers))
    return await upstream.send(request, asyncio.get_running_loop().time() + within_s)


async def content(response: Response) -> bytes:
    assert isinstance(response.body, Body)
    pieces = []
    while piece := await response.body.read():
        pieces.append(piece)
    return b"".join(pieces)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def left(folder: Path, expected: list[str]) -> None:
    """Wait until only these are left; threads clean up."""
    async with asyncio.timeout(5):
        while names(folder) != expected:
            await asyncio.sleep(0)


class Breaks(Body):
    """A body that turns out not to fit after its first piece."""

    def __init__(self) -> None:
        self.length = None
        self.pieces = [b"first"]

    async def read(self) -> bytes:
        if self.pieces:
            return self.pieces.pop()
        raise Unmappable("does not fit")

    def close(self) -> None:
        """Nothing feeds it."""


def test_a_file_is_written_and_said_to_be(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        response = await send(client(tmp_path), b"records")
        assert (response.status, response.body) == (202, b'{"file":"a.dat"}')
        assert names(tmp_path) == ["a.dat"]
        assert (tmp_path / "a.dat").read_bytes() == b"records"

    play(scene)


def test_nothing_is_overwritten(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        upstream = client(tmp_path)
        answers = await asyncio.gather(*(send(upstream, b"%d" % n) for n in range(8)), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, RequestRefused)]
        assert [(one.status, one.code) for one in refused] == [(409, "drop.exists")] * 7
        await left(tmp_path, ["a.dat"])

    play(scene)


def test_a_body_that_breaks_leaves_nothing(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(Unmappable):
            await send(client(tmp_path), Breaks())
        await left(tmp_path, [])

    play(scene)


def test_a_caller_that_leaves_while_it_sends(play: Play, tmp_path: Path) -> None:
    class Stalls(Breaks):
        async def read(self) -> bytes:
            if self.pieces:
                return self.pieces.pop()
            await asyncio.get_running_loop().create_future()
            return b""

    async def scene() -> None:
        call = asyncio.ensure_future(send(client(tmp_path), Stalls()))
        while not names(tmp_path):
            await asyncio.sleep(0)
        assert names(tmp_path)[0].startswith(".")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await left(tmp_path, [])

    play(scene)


def test_no_such_folder(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(UpstreamError) as raised:
            await send(client(tmp_path / "gone"), b"records")
        assert (raised.value.cause, raised.value.sent) == (Cause.UNREACHABLE, False)
        with pytest.raises(UpstreamError):
            await send(client(tmp_path / "gone"), None, answers="*")

    play(scene)


def test_an_answer_is_waited_for(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        call = asyncio.ensure_future(send(client(tmp_path), b"records", answers="a.rsp*"))
        while names(tmp_path) != ["a.dat"]:
            await asyncio.sleep(0)
        (tmp_path / "other.rsp").write_bytes(b"not this")
        (tmp_path / "late.tmp").write_bytes(b"answer")
        (tmp_path / "late.tmp").rename(tmp_path / "a.rsp1")
        response = await call
        assert (response.status, await content(response)) == (200, b"answer")
        assert names(tmp_path) == ["a.dat", "other.rsp"]

    play(scene)


def test_no_answer_in_time(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        upstream = client(tmp_path)
        call = asyncio.ensure_future(send(upstream, b"records", answers="a.rsp"))
        await left(tmp_path, ["a.dat"])
        upstream._time = lambda: asyncio.get_running_loop().time() + 60  # a minute passes
        with pytest.raises(UpstreamError) as raised:
            await call
        assert (raised.value.cause, raised.value.stage, raised.value.sent) == (Cause.TIMEOUT, "head", True)
        assert names(tmp_path) == ["a.dat"]

    play(scene)


def test_a_caller_that_leaves_while_it_waits(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        aborts: list[Abort] = []
        call = asyncio.ensure_future(send(client(tmp_path), b"records", answers="a.rsp", on_slow=aborts.append))
        while not aborts:
            await asyncio.sleep(0)
        aborts[-1](ConnectionError("left"))
        with pytest.raises(ConnectionError):
            await call

    play(scene)


def test_each_answer_reaches_one_caller(play: Play, tmp_path: Path) -> None:
    """Oldest first; hidden files and folders are none."""

    async def scene() -> None:
        for number in range(5):
            (tmp_path / f"{number}.rsp").write_bytes(b"%d" % number)
            os.utime(tmp_path / f"{number}.rsp", (1000 - number, 1000 - number))
        (tmp_path / ".hidden.rsp").write_bytes(b"hidden")
        (tmp_path / "folder.rsp").mkdir()
        upstream = client(tmp_path)
        first = await send(upstream, None, answers="*.rsp")
        assert await content(first) == b"4"
        answers = await asyncio.gather(*(send(upstream, None, answers="*.rsp") for _ in range(6)))
        bodies = [await content(answer) for answer in answers if answer.status == 200]
        assert sorted(bodies) == [b"0", b"1", b"2", b"3"]
        assert [answer.status for answer in answers].count(404) == 2
        assert names(tmp_path) == [".hidden.rsp", "folder.rsp"]

    play(scene)


def test_an_answer_that_was_not_delivered_is_put_back(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / "a.rsp").write_bytes(b"x" * 200_000)
        upstream = client(tmp_path)
        response = await send(upstream, None, answers="*.rsp")
        assert isinstance(response.body, Body)
        assert await response.body.read()
        assert names(tmp_path)[0].startswith(".a.rsp.")
        response.body.close()
        assert names(tmp_path) == ["a.rsp"]
        assert len(await content(await send(upstream, None, answers="*.rsp"))) == 200_000
        assert names(tmp_path) == []

    play(scene)


def test_an_answer_that_is_judged_stays_until_then(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        upstream = client(tmp_path)
        for good in (True, False):
            (tmp_path / "a.rsp").write_bytes(b"answer")
            request = UpstreamRequest("GET", b"/", Headers(), None, file=FileNames("a", "*.rsp", judged=True))
            response = await upstream.send(request, asyncio.get_running_loop().time() + 5)
            assert await content(response) == b"answer"
            assert [name.rpartition(".")[2] for name in names(tmp_path)] == ["taken"]
            assert isinstance(response.body, Body)
            if good:
                response.body.close()
                await left(tmp_path, [])
            else:
                response.body.set_aside()
        (kept,) = tmp_path.iterdir()
        assert (kept.name[:7], kept.suffix, kept.read_bytes()) == (".a.rsp.", ".rejected", b"answer")
        assert take(tmp_path, "*") is None
        assert (await send(upstream, None, answers="*")).status == 404

    play(scene)


def test_what_a_killed_process_left_half_written_is_removed_when_it_is_old(play: Play, tmp_path: Path) -> None:
    mine, fresh, other = (f".a.{'0f' * 16}.part", f".b.{'0f' * 16}.part", ".theirs.part")
    for name in (mine, fresh, other, "a.part"):
        (tmp_path / name).write_bytes(b"half")
        if name != fresh:
            os.utime(tmp_path / name, (1e9, 1e9))

    async def scene() -> None:
        assert (await send(client(tmp_path), b"x", "new.dat")).status == 202
        await left(tmp_path, sorted([fresh, other, "a.part", "new.dat"]))

    play(scene)


def test_answers_lie_in_another_folder(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.rsp").write_bytes(b"answer")
        response = await send(client(tmp_path / "in"), b"records", answers="../out/a.*")
        assert await content(response) == b"answer"

    play(scene)


def test_nothing_to_write_and_nothing_to_pick_up(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        with pytest.raises(RequestRefused):
            await send(client(tmp_path), b"")

    play(scene)


def test_takers_never_share_a_file(tmp_path: Path) -> None:
    """Threads stand for workers: each file is taken once, whoever asks."""
    for number in range(60):
        (tmp_path / f"{number}.rsp").write_bytes(b"%d" % number)
    taken: list[bytes] = []

    def run() -> None:
        while (one := take(tmp_path, "*.rsp")) is not None:
            taken.append(one.read(10))
            one.done()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(b"%d" % number for number in range(60))


def test_where_links_are_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    part = Part(tmp_path, "a.dat")
    part.open()
    part.write(b"one")
    part.publish()
    other = Part(tmp_path, "a.dat")
    other.open()
    with pytest.raises(FileExistsError):
        other.publish()
    other.discard()
    assert names(tmp_path) == ["a.dat"]


def test_a_folder_that_hangs_holds_up_its_own_calls_only(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comes_back = Event()
    monkeypatch.setattr("gateway.upstream.drop.client.take", lambda *_: comes_back.wait(10) and None)

    async def scene() -> None:
        upstream = client(tmp_path)
        calls = (send(upstream, None, answers="*", within_s=0.05) for _ in range(40))
        failures = await asyncio.gather(*calls, return_exceptions=True)
        causes = [failure.cause for failure in failures if isinstance(failure, UpstreamError)]
        assert causes == [Cause.TIMEOUT] * 40
        assert await asyncio.to_thread(int, "1") == 1
        comes_back.set()
        upstream.close()

    play(scene)
