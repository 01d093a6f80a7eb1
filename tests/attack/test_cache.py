"""Attempts to poison the cache, or to read another caller's answers from it. None changes what anybody else is served.

The upstream believes what frameworks believe, and errs as upstreams err: each of its answers may be stored for a minute, its errors
too. `{path}` is a path of the attempt's own; whoever asks for it afterwards, saying nothing odd, must get the sound answer.
"""

from __future__ import annotations

import contextlib

import pytest

from gateway.testing.upstream import Peer
from tests.wire.plays import TO_ALL, Broken, Server, Stage, perform

CACHED = {**TO_ALL, "policies": {"cache": {"key": {"headers": ["X-Tenant"]}}, "compress": {"min_size": "0B"}}}
BELIEVED = (
    b"x-original-url",
    b"x-rewrite-url",
    b"x-forwarded-path",
    b"x-forwarded-prefix",
    b"x-forwarded-server",
    b"x-forwarded-port",
    b"x-forwarded-scheme",
    b"x-forwarded-ssl",
    b"x-host",
    b"x-http-host-override",
    b"x-original-host",
    b"x-url-scheme",
    b"front-end-https",
    b"forwarded",
    b"x-tenant",
)
METHODS = (b"x-http-method", b"x-http-method-override", b"x-method-override")


def said(*fields: str, method: str = "GET", target: str = "{path}", host: str = "a", body: str = "") -> str:
    return "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", body))


# What an attacker says, by what it is called where it is known
ATTEMPTS = {
    # unkeyed input (Kettle, Practical Web Cache Poisoning, 2018)
    "forwarded host": said("X-Forwarded-Host: evil"),
    "forwarded host, twice": said("X-Forwarded-Host: a", "X-Forwarded-Host: evil"),
    "forwarded proto": said("X-Forwarded-Proto: evil"),
    **{f"believed {name.decode()}": said(f"{name.decode()}: evil") for name in BELIEVED[:-1]},
    **{f"method by {name.decode()}": said(f"{name.decode()}: DELETE") for name in METHODS},
    "believed, in other letters": said("x-ORIGINAL-url: evil"),
    # other names of the host
    "another host": said(host="evil"),
    "another port": said(host="a:8081"),
    "two hosts": said("Host: evil"),
    "a host with user information": said(host="evil@a"),
    "absolute form": said(target="http://evil{path}"),
    "absolute form, same host, odd port": said(target="http://a:1{path}"),
    # fat GET (Kettle, Web Cache Entanglement, 2020)
    "a body": said("Content-Length: 4", body="evil"),
    "a chunked body": said("Transfer-Encoding: chunked", body="4\r\nevil\r\n0\r\n\r\n"),
    "a form's body": said("Content-Type: application/x-www-form-urlencoded", "Content-Length: 6", body="q=evil"),
    # path and query
    "a parameter": said(target="{path}?q=evil"),
    "a parameter of the path": said(target="{path};q=evil"),
    "an encoded question mark": said(target="{path}%3Fq=evil"),
    "an encoded hash": said(target="{path}%23evil"),
    "an encoded slash": said(target="{path}%2Fevil"),
    "a dot segment behind": said(target="{path}/evil/.."),
    "an encoded dot segment": said(target="{path}/%2e%2e/evil"),
    "a double slash": said(target="{path}//evil"),
    "a hash": said(target="{path}#evil"),
    "a null": said(target="{path}%00evil"),
    # errors that are denied to everybody (Nguyen et al., Your Cache Has Fallen, 2019)
    "header oversize": said("X-Long: " + "evil" * 1500),
    "header oversize, many": said(*[f"X-Many-{number}: evil" for number in range(90)]),
    "a meta character": said("X-Meta: evil\x07"),
    "method override": said("X-HTTP-Method-Override: POST"),
    "a range": said("Range: bytes=0-0"),
    "a range beyond the end": said("Range: bytes=99999999-"),
    "a range of another unit": said("Range: evil=1"),
    "If-Match": said('If-Match: "evil"'),
    "If-None-Match of anything": said("If-None-Match: *"),
    "If-Unmodified-Since long ago": said("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
    "If-Modified-Since in the future": said("If-Modified-Since: Fri, 01 Jan 2200 00:00:00 GMT"),
    "an expectation": said("Expect: evil"),
    "a protocol to upgrade to": said("Connection: Upgrade", "Upgrade: evil"),
    "a coding of the transfer": said("TE: evil"),
    "a field named in Connection": said("Connection: host"),
    # methods
    "HEAD": said(method="HEAD"),
    "OPTIONS": said(method="OPTIONS"),
    "a made-up method": said(method="EVIL"),
    "a POST that the upstream calls fresh": said("Content-Length: 4", method="POST", body="evil"),
    # what belongs to one caller
    "Authorization": said("Authorization: Bearer evil"),
    "Cookie": said("Cookie: session=evil"),
    "a keyed field": said("X-Tenant: evil"),
    # directives and codings
    "only-if-cached": said("Cache-Control: only-if-cached"),
    "max-stale": said("Cache-Control: max-stale"),
    "a coding": said("Accept-Encoding: evil;q=1, gzip"),
}


def gullible(raw: bytes) -> bytes:
    """What an upstream that trusts everybody answers, all of it fresh for a minute."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *rest = head.split(b"\r\n")
    method, target, _ = line.split(b" ")
    fields = {name.lower(): value.strip() for name, _, value in (one.partition(b":") for one in rest)}
    reason = next(
        (
            (status, name)
            for status, name in (
                (b"416", b"range"),
                (b"412", b"if-match"),
                (b"412", b"if-unmodified-since"),
                (b"304", b"if-none-match"),
                (b"304", b"if-modified-since"),
                (b"417", b"expect"),
                *((b"405", name) for name in METHODS),
            )
            if name in fields
        ),
        None,
    )
    if len(head) > 5000 or len(rest) > 80 or any(b"\x07" in value for value in fields.values()):
        reason = (b"400", b"")
    status = b"200" if reason is None else reason[0]
    told = [target, *(fields[name] for name in BELIEVED if name in fields), fields.get(b"authorization", b""), body]
    told += [fields.get(b"cookie", b""), method if method not in (b"GET", b"HEAD") else b""]
    content = b"" if status == b"304" or method == b"HEAD" else b" ".join(told).strip()
    length = b"" if status == b"304" else b"Content-Length: %d\r\n" % len(content)
    etag = b'"evil"' if method == b"HEAD" or status != b"200" else b'"sound"'
    return b"HTTP/1.1 %b X\r\nCache-Control: max-age=60\r\nETag: %b\r\n%b\r\n%b" % (status, etag, length, content)


async def upstream(peer: Peer) -> None:
    while True:
        await peer.send(gullible(await peer.request()))


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_no_attempt_changes_what_another_caller_is_served(server: Server) -> None:
    async def scene(stage: Stage) -> None:
        for number, (name, attempt) in enumerate(ATTEMPTS.items()):
            path = f"/attempt-{number}"
            for _ in range(2):  # the second may be answered by what the first left behind
                caller = await stage.caller()
                await caller.send(attempt.replace("{path}", path).encode("latin-1"))
                with contextlib.suppress(Broken):
                    await caller.answer(attempt.partition(" ")[0], check=False)  # some are refused by the server itself
                caller.close()
            for fields in ((), ("Accept-Encoding: gzip",)):
                request = said(*fields, target=path).encode()
                answer = await stage.ask(request)
                assert (answer.status, answer.get(b"etag")[0].removeprefix(b"W/")) == (200, b'"sound"'), name
                assert fields or answer.body == path.encode(), name

    perform(server, scene, *[upstream] * 400, routes=[CACHED])


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_nobody_reads_what_another_caller_was_served(server: Server) -> None:
    """Web cache deception: a victim is led to a URL that looks static, and the attacker asks for it afterwards."""
    lures = [
        "/account/x.css",
        "/account;x.css",
        "/account%2Fx.css",
        "/account%3Bx.js",
        "/account?x.css",
        "/account//x.css",
    ]
    secrets = ["Authorization: Bearer victim", "Cookie: session=victim"]
    thefts = ["", "Cookie: session=thief", "Authorization: Bearer thief", "Cache-Control: only-if-cached, max-stale"]

    async def scene(stage: Stage) -> None:
        for lure in lures:
            for secret in secrets:
                target = lure.replace("/account", f"/account-{secrets.index(secret)}")
                victim = await stage.ask(said(secret, target=target).encode())
                assert b"victim" in victim.body
                for theft in thefts:
                    stolen = await stage.ask(said(*([theft] if theft else []), target=target).encode())
                    assert b"victim" not in stolen.body, (lure, secret, theft)

    perform(server, scene, *[upstream] * 400, routes=[CACHED])


def test_the_table_is_long_enough() -> None:
    assert len(ATTEMPTS) >= 55
