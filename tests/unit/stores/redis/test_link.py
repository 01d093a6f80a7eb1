"""When calls leave, on a connection without a server and a loop whose time stands still."""

import asyncio
from types import SimpleNamespace

import pytest

from gateway.stores.redis.link import CROWD_PER_S, GRACE_S, WINDOW_S, Link


class Scene:
    """A link on the running loop, whose clock and timers are the test's."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.now = 100.0
        self.timers = []
        self.written = []
        self.link = Link(SimpleNamespace(), 1.0)
        self.link._loop = SimpleNamespace(
            time=lambda: self.now,
            call_soon=loop.call_soon,
            call_later=lambda after_s, call: self.timers.append((after_s, call)),
            create_future=loop.create_future,
        )
        self.link.connection_made(SimpleNamespace(write=lambda data: self.written.append(data.count(b"PING"))))

    def ask(self, calls):
        return [self.link.ask("PING") for _ in range(calls)]

    def answer(self, calls):
        self.link.data_received(b"+PONG\r\n" * calls)

    def windows(self):
        return [call for after_s, call in self.timers if after_s == WINDOW_S]


def test_few_leave_at_the_end_of_their_turn():
    async def scene():
        scene = Scene()
        for _ in range(20):
            scene.ask(3)
            await asyncio.sleep(0)
            scene.answer(3)
            scene.now += 3 / CROWD_PER_S + WINDOW_S
        assert scene.written == [3] * 20
        assert not scene.windows()

    asyncio.run(scene())


def test_while_there_are_many_they_leave_once_in_a_window():
    async def scene():
        scene = Scene()
        scene.ask(64)
        await asyncio.sleep(0)
        scene.answer(64)
        scene.now += 2 * WINDOW_S
        asked = scene.ask(2)
        await asyncio.sleep(0)
        asked += scene.ask(3)
        await asyncio.sleep(0)
        assert scene.written == [64]
        (leave,) = scene.windows()
        leave()
        assert scene.written == [64, 5]
        scene.answer(5)
        assert [await each for each in asked] == [b"PONG"] * 5
        # and what has come while their answers were awaited gathers for a window, too
        scene.now += WINDOW_S
        scene.ask(CROWD_PER_S // 1000)
        scene.windows()[-1]()
        scene.ask(7)
        scene.answer(CROWD_PER_S // 1000)
        assert scene.written == [64, 5, 4]
        scene.windows()[-1]()
        assert scene.written == [64, 5, 4, 7]
        # until they are few again
        scene.answer(7)
        scene.now += 1.0
        scene.ask(1)
        await asyncio.sleep(0)
        assert scene.written[-1] == 1

    asyncio.run(scene())


@pytest.mark.parametrize(("held_up_s", "more_s"), [(0.0, GRACE_S), (0.25, 0.25), (7.0, 1.0)])
def test_a_loop_that_was_held_up_gives_the_server_as_much_more_time(held_up_s, more_s):
    async def scene():
        scene = Scene()
        late = []
        scene.link._owner.late = late.append
        for answered in (True, False):
            (future,) = scene.ask(1)
            await asyncio.sleep(0)
            ((after_s, look),) = scene.timers
            assert after_s == 1.0
            scene.timers.clear()
            scene.now += after_s + held_up_s
            look()
            ((after_s, look),) = scene.timers
            assert after_s == pytest.approx(more_s)
            scene.timers.clear()
            if answered:
                scene.answer(1)
            scene.now += after_s
            look()
            await asyncio.sleep(0)
            assert (future.exception() is None) is answered
        assert late == [scene.link]

    asyncio.run(scene())
