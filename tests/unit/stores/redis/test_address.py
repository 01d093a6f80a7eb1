import pytest

from gateway.stores.redis.address import Address, Tls, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address("redis", (("cache", 6379),))),
        ("redis://cache:7000/3", Address("redis", (("cache", 7000),), db=3)),
        ("redis://[::1]:7000", Address("redis", (("::1", 7000),))),
        ("redis://[::1]", Address("redis", (("::1", 6379),))),
        ("redis://:p%40ss@cache/0", Address("redis", (("cache", 6379),), password="p@ss")),
        ("redis://acl:p@ss@cache", Address("redis", (("cache", 6379),), user="acl", password="p@ss")),
        ("redis://cache?prefix=orders:", Address("redis", (("cache", 6379),), prefix="orders:")),
        ("redis://cache?timeout=5ms&acks=1", Address("redis", (("cache", 6379),), timeout_s=0.005, acks=1)),
        ("rediss://cache?ca=/etc/ca.pem", Address("redis", (("cache", 6379),), tls=Tls(ca="/etc/ca.pem"))),
        ("redis+cluster://a,b:7001", Address("redis+cluster", (("a", 6379), ("b", 7001)))),
        (
            "redis+sentinel://a,b:26380/main/2",
            Address("redis+sentinel", (("a", 26379), ("b", 26380)), master="main", db=2),
        ),
        ("rediss+cluster://a", Address("redis+cluster", (("a", 6379),), tls=Tls())),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_urls_say(url, address):
    assert parse(url) == address


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis:cache", "is written as redis://HOST:PORT/DB"),
        ("redis://", "HOST:PORT"),
        ("redis://cache:port", "HOST:PORT"),
        ("redis://cache:0", "HOST:PORT"),
        ("redis://cache/main", "number of a database"),
        ("redis://cache/0/1", "number of a database"),
        ("redis://secret@cache", "USER:PASSWORD@"),
        ("redis://cache?timeout=5", "a duration"),
        ("redis://cache?timeout=2m", "between 1ms and 60s"),
        ("redis://cache?acks=-1", "number of replicas"),
        ("redis://cache?prefix={a}", "prefix holds"),
        ("redis://cache?retries=3", "no option 'retries'; there is acks"),
        ("redis://cache?acks=1&acks=2", "twice"),
        ("redis://cache?ca=/ca.pem", "for rediss:// only"),
        ("rediss://cache?key=/key.pem", "needs its `cert`"),
        ("redis+cluster://a/1", "no databases"),
        ("redis+sentinel://a", "asked for a master"),
    ],
)
def test_what_is_wrong_with_urls(url, message):
    with pytest.raises(ValueError, match=message.replace("+", r"\+")) as caught:
        parse(url)
    assert "secret" not in str(caught.value)


def test_an_address_is_shown_without_what_is_secret():
    assert str(parse("redis://acl:secret@cache/1?prefix=x:")) == "redis://cache:6379/1"
    assert str(parse("rediss://:secret@[::1]")) == "rediss://[::1]:6379/0"
    assert str(parse("redis+sentinel://:secret@a,b/main")) == "redis+sentinel://a:26379,b:26379/main/0"
    assert str(parse("rediss+cluster://:secret@a,b")) == "rediss+cluster://a:6379,b:6379"
