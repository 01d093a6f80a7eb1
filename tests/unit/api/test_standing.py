"""How a store stands, and who hears of it when that changes."""

import gc

from gateway.api.standing import Durability, Standing


class Follower:
    def __init__(self):
        self.news = []

    def changed(self, available):
        self.news.append(available)


def test_followers_hear_of_each_change_once():
    standing, follower = Standing(), Follower()
    standing.follow(follower.changed)
    assert not standing.back()
    assert standing.gone("it burns")
    assert not standing.gone("it burns still")
    assert (standing.available, standing.reason, standing.switches) == (False, "it burns still", 1)
    assert standing.back()
    assert (standing.available, standing.reason, standing.switches) == (True, "", 1)
    assert follower.news == [False, True]


def test_a_follower_that_is_gone_is_forgotten():
    standing, follower, heard = Standing(), Follower(), []

    def told(available):
        heard.append(available)

    standing.follow(follower.changed)
    standing.follow(told)
    del follower
    gc.collect()
    standing.gone("")
    assert heard == [False]
    assert len(standing._followers) == 1


def test_what_a_crash_may_take():
    assert "snapshot" in Durability("noeviction", "off", 0).loses
    assert "snapshot" in Durability("noeviction", "no", 0).loses
    assert "a second" in Durability("noeviction", "everysec", 0).loses
    assert Durability("noeviction", "always", 0).loses == ""
    assert Durability("noeviction", "off", 1).loses == ""
    assert not Durability("", "", 0).evicts
    assert Durability("volatile-lru", "always", 1).evicts
