"""RFC 9111, 9110, 9211, 9213 and 5861 as a table: an answer is stored at 0, and asked for again later. docs/caching.md names the cases."""

import itertools

import pytest

from gateway.api.messages import Headers
from gateway.http.dates import format_date
from policies.cache.core import Action, decide, freshened, keep, outdated_by_head, serves_on_error
from policies.cache.directives import parse_directives, seconds
from policies.cache.terms import (
    CDN_FIELD,
    HEURISTIC,
    NEVER,
    OWN_FIELD,
    Rules,
    initial_age,
    lifetime_of,
    terms_of,
    why_not_stored,
)

WALL = 1_800_000_000.0
FAR = 2**31
PLAIN = Rules()
SERVE, REFRESH, VALIDATE = Action.SERVE, Action.SERVE_AND_REFRESH, Action.VALIDATE


def at(offset):
    return format_date(WALL + offset).decode()


def headers(text):
    """`name: value` lines, divided by |."""
    pairs = (line.strip().partition(":") for line in text.split("|") if line.strip())
    return Headers((name.strip().lower().encode(), value.strip().encode("latin-1")) for name, _, value in pairs)


def stored(text, *, status=200, request="", rules=PLAIN, delay=0.0, body=b"0123456789"):
    fields = headers(text)
    terms = terms_of(fields, WALL, rules)
    return keep(status, fields, body, headers(request), terms, rules, now=0.0, wall=WALL, delay_s=delay)


def storing(text, *, status=200, asked="", authorization=False, rules=PLAIN):
    fields = headers(text)
    return why_not_stored(
        parse_directives([asked.encode()]),
        authorization=authorization,
        status=status,
        headers=fields,
        terms=terms_of(fields, WALL, rules),
        rules=rules,
    )


LIFETIMES = [
    # §4.2.1: which directive counts
    ("9111-4.2.1", "cache-control: max-age=60", 60),
    ("9111-4.2.1", "cache-control: s-maxage=30, max-age=60", 30),
    ("9111-4.2.1", "cache-control: max-age=60, s-maxage=90", 90),
    ("9111-4.2.1", f"cache-control: max-age=60 | expires: {at(600)} | date: {at(0)}", 60),
    ("9111-4.2.1", f"cache-control: s-maxage=0 | expires: {at(600)} | date: {at(0)}", 0),
    ("9111-4.2.1", f"expires: {at(600)} | date: {at(0)}", 600),
    ("9111-4.2.1", f"expires: {at(600)}", 600),
    ("9111-4.2.1", f"expires: {at(600)} | date: {at(300)}", 300),
    ("9111-4.2.1", f"expires: {at(-1)} | date: {at(0)}", 0),
    ("9111-4.2.1", "cache-control: max-age=60, max-age=5", 60),
    ("9111-4.2.1", "cache-control: max-age=5 | cache-control: max-age=60", 5),
    ("9111-4.2.1", "cache-control: MAX-AGE=60", 60),
    ("9111-4.2.1", 'cache-control: max-age="60"', 60),
    ("9111-4.2.1", "cache-control: max-age=060", 60),
    ("9111-4.2.1", "cache-control: , ,max-age=60,", 60),
    ("9111-4.2.1", 'cache-control: x="a, max-age=5", max-age=60', 60),
    ("9111-4.2.1", "cache-control: unknown, max-age=60, other=1", 60),
    # invalid figures: stale at once
    ("9111-4.2.1", "cache-control: max-age", 0),
    ("9111-4.2.1", "cache-control: max-age=", 0),
    ("9111-4.2.1", "cache-control: max-age=-5", 0),
    ("9111-4.2.1", "cache-control: max-age=1.5", 0),
    ("9111-4.2.1", "cache-control: max-age=abc", 0),
    ("9111-4.2.1", "cache-control: max-age='60'", 0),
    ("9111-4.2.1", "cache-control: max-age =60", 0),
    ("9111-4.2.1", "cache-control: max-age= 60", 0),
    ("9111-4.2.1", 'cache-control: max-age="60', 0),
    ("9111-4.2.1", "cache-control: max-age=60s", 0),
    ("9111-4.2.1", "cache-control: max-age=0x60", 0),
    ("9111-4.2.1", f"cache-control: max-age=abc | expires: {at(600)}", 0),
    ("9111-4.2.1", "cache-control: s-maxage=abc, max-age=60", 0),
    # §1.2.2: more than can be counted
    ("9111-1.2.2", "cache-control: max-age=2147483648", FAR),
    ("9111-1.2.2", "cache-control: max-age=99999999999999999999", FAR),
    ("9111-1.2.2", "cache-control: max-age=" + "9" * 4000, FAR),
    # §5.3: Expires
    ("9111-5.3", "expires: 0", 0),
    ("9111-5.3", "expires: -1", 0),
    ("9111-5.3", "expires: ", 0),
    ("9111-5.3", "expires: soon", 0),
    ("9111-5.3", "expires: Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ("9111-5.3", f"expires: {at(600)} | expires: {at(900)}", 0),
    ("9111-5.3", f"expires: {at(600).replace('GMT', 'UTC')}", 0),
    ("9111-5.3", f"expires: {at(600)} | date: yesterday", 600),
    ("9111-5.3", "expires: Fri, 01 Jan 2200 00:00:00 GMT", 5_458_118_400),
    # §4.2.2: the heuristic
    ("9111-4.2.2", f"last-modified: {at(-1000)} | date: {at(0)}", 100),
    ("9111-4.2.2", f"last-modified: {at(-1000)}", 100),
    ("9111-4.2.2", f"last-modified: {at(1000)}", 0),
    ("9111-4.2.2", "last-modified: never", 0),
    ("9111-4.2.2", 'etag: "a"', 0),
    ("9111-4.2.2", f"cache-control: max-age=7 | last-modified: {at(-1000)}", 7),
    ("9111-4.2.2", f"cache-control: public | last-modified: {at(-1000)}", 100),
    # RFC 9213: the targeted field, valid and not empty, stands for all others
    ("9213-2.2", "sluicegate-cache-control: max-age=9 | cache-control: max-age=60", 9),
    ("9213-2.2", "sluicegate-cache-control: s-maxage=9, max-age=4 | cache-control: max-age=60", 9),
    ("9213-2.2", f"sluicegate-cache-control: public | expires: {at(600)}", 0),
    ("9213-2.1", 'sluicegate-cache-control: max-age="9 | cache-control: max-age=60', 60),
    ("9213-2.1", "sluicegate-cache-control: ;; | cache-control: max-age=60", 60),
    ("9213-2.1", "sluicegate-cache-control: | cache-control: max-age=60", 60),
    ("9213-2.1", "sluicegate-cache-control: max-age=1.5 | cache-control: max-age=60", 60),
    ("9213-2.1", 'sluicegate-cache-control: max-age="5" | cache-control: max-age=60', 60),
    ("9213-2.1", "sluicegate-cache-control: max-age=x, s-maxage=9 | cache-control: max-age=60", 9),
    ("9213-2.1", "sluicegate-cache-control: max-age | cache-control: max-age=60", 60),
    ("9213-2.1", "sluicegate-cache-control: max-age=(5) | cache-control: max-age=60", 60),
    ("9111-4.2", f"expires: {at(600).lower()} | date: {at(0)}", 600),
    ("9111-4.2", f"expires: {at(600).upper()} | date: {at(0)}", 600),
    ("9213-2.1", "sluicegate-cache-control: max-age=-9 | cache-control: max-age=60", 0),
    ("9213-2.1", "sluicegate-cache-control: max-age=9 | sluicegate-cache-control: max-age=8", 8),
    ("9213-2.2", "cdn-cache-control: max-age=9 | cache-control: max-age=60", 60),
]


@pytest.mark.parametrize(("rule", "answer", "expected"), LIFETIMES)
def test_freshness_lifetime(rule, answer, expected):
    rules = Rules(max_ttl_s=float(2**40))
    fields = headers(answer)
    assert lifetime_of(200, fields, terms_of(fields, WALL, rules), WALL, rules) == expected, rule


@pytest.mark.parametrize(
    ("status", "rules", "answer", "expected"),
    [
        (200, Rules(max_ttl_s=50), "cache-control: max-age=60", 50),
        (200, Rules(default_ttl_s=5), "", 5),
        (200, Rules(default_ttl_s=5), f"last-modified: {at(-1000)}", 5),
        (200, Rules(default_ttl_s=5), "cache-control: max-age=0", 0),
        (302, Rules(default_ttl_s=5), "", 0),
        (302, Rules(default_ttl_s=5), "cache-control: public", 5),
        (404, Rules(negative={404: 10.0}), "", 10),
        (404, Rules(negative={404: 10.0}), "cache-control: max-age=60", 60),
        (503, Rules(negative={503: 1.0}), "", 1),
        (302, Rules(), f"last-modified: {at(-1000)}", 0),
        (200, Rules(targeted=(OWN_FIELD, CDN_FIELD)), "cdn-cache-control: max-age=9 | cache-control: max-age=60", 9),
        (
            200,
            Rules(targeted=(OWN_FIELD, CDN_FIELD)),
            "cdn-cache-control: max-age=9 | sluicegate-cache-control: max-age=3",
            3,
        ),
    ],
)
def test_lifetime_as_configured(status, rules, answer, expected):
    fields = headers(answer)
    assert lifetime_of(status, fields, terms_of(fields, WALL, rules), WALL, rules) == expected


STORING = [
    # rule, status, answer, request's directives, Authorization?, why not
    ("9111-3", 200, "cache-control: max-age=60", "", False, None),
    ("9111-3", 200, "", "", False, None),
    ("9111-3", 302, "", "", False, "status"),
    ("9111-3", 302, "cache-control: max-age=60", "", False, None),
    ("9111-3", 302, "cache-control: public", "", False, None),
    ("9111-3", 302, f"expires: {at(60)}", "", False, None),
    ("9111-3", 500, "", "", False, "status"),
    ("9111-3", 500, "cache-control: max-age=60", "", False, None),
    ("9111-3", 299, "cache-control: max-age=60", "", False, None),
    ("9111-3", 599, "cache-control: s-maxage=60", "", False, None),
    ("9111-3", 103, "cache-control: max-age=60", "", False, "status"),
    ("9111-5.2.2.5", 200, "cache-control: no-store, max-age=60", "", False, "no-store"),
    ("9111-5.2.2.5", 200, "cache-control: NO-STORE", "", False, "no-store"),
    ("9111-5.2.2.5", 200, "cache-control: no-store=\"x\"", "", False, "no-store"),
    ("9111-5.2.2.5", 200, "cache-control: max-age=60 | cache-control: no-store", "", False, "no-store"),
    ("9111-5.2.2.5", 200, "cache-control: x=\"no-store\"", "", False, None),
    ("9111-5.2.2.7", 200, "cache-control: private, max-age=60", "", False, "private"),
    ("9111-5.2.2.7", 200, "cache-control: private, public, s-maxage=60", "", False, "private"),
    ("9111-5.2.2.7", 200, 'cache-control: private="x-user", max-age=60', "", False, None),
    ("9111-5.2.2.7", 200, 'cache-control: private="", max-age=60', "", False, "private"),
    ("9111-5.2.2.7", 200, 'cache-control: private="x user", max-age=60', "", False, "private"),
    ("9111-5.2.2.7", 200, 'cache-control: private="x-user, max-age=60', "", False, "private"),
    ("9111-5.2.2.4", 200, "cache-control: no-cache", "", False, None),
    ("9111-5.2.2.3", 200, "cache-control: must-understand, no-store, max-age=60", "", False, None),
    ("9111-5.2.2.3", 299, "cache-control: must-understand, max-age=60", "", False, "must-understand"),
    ("9111-5.2.2.3", 500, "cache-control: must-understand, no-store, max-age=60", "", False, "must-understand"),
    ("9111-5.2.2.3", 200, "cache-control: must-understand, private", "", False, "private"),
    ("9111-5.2.1.5", 200, "cache-control: max-age=60", "no-store", False, "request-no-store"),
    ("9111-5.2.1.5", 200, "cache-control: max-age=60", "no-cache", False, None),
    ("9111-3.5", 200, "cache-control: max-age=60", "", True, "authorization"),
    ("9111-3.5", 200, f"expires: {at(60)}", "", True, "authorization"),
    ("9111-3.5", 200, "cache-control: public, max-age=60", "", True, None),
    ("9111-3.5", 200, "cache-control: s-maxage=60", "", True, None),
    ("9111-3.5", 200, "cache-control: must-revalidate, max-age=60", "", True, None),
    ("9111-3.5", 200, "cache-control: private, must-revalidate", "", True, "private"),
    ("9111-5.2.2.8", 200, "cache-control: proxy-revalidate, max-age=60", "", True, "authorization"),
    ("9111-5.2.2.8", 200, "cache-control: proxy-revalidate, public, max-age=60", "", True, None),
    ("9111-4.1", 200, "cache-control: max-age=60 | vary: *", "", False, "vary"),
    ("9111-4.1", 200, "cache-control: max-age=60 | vary: accept, *", "", False, "vary"),
    ("9111-4.1", 200, "cache-control: max-age=60 | vary: accept | vary: *", "", False, "vary"),
    ("9111-4.1", 200, "cache-control: max-age=60 | vary: accept", "", False, None),
    ("9111-4.1", 200, "cache-control: max-age=60 | vary: " + "x," * 64, "", False, None),
    ("9111-4.1", 200, "cache-control: max-age=60 | vary: " + "x," * 65, "", False, "vary"),
    ("9111-5.2.2", 200, "cache-control: max-age=60, no-store", "", False, "no-store"),
    ("9111-5.2.2", 200, "cache-control: public, private, max-age=60", "", False, "private"),
    ("9111-5.2.2", 200, "cache-control: public, no-store, s-maxage=60", "", False, "no-store"),
    ("9111-7.3", 200, "cache-control: max-age=60 | set-cookie: a=b", "", False, "set-cookie"),
    ("9111-7.3", 200, "cache-control: public, max-age=60 | set-cookie: a=b", "", False, None),
    ("9111-7.3", 200, "cache-control: s-maxage=60 | set-cookie: a=b", "", False, None),
    ("9111-3.3", 206, "cache-control: max-age=60 | content-range: bytes 0-1/10", "", False, "status"),
    ("9111-3.3", 200, "cache-control: max-age=60 | content-range: bytes 0-1/10", "", False, "range"),
    ("9110-14.4", 200, "cache-control: max-age=60 | content-range: nonsense", "", False, None),
    ("9111-3.2", 304, "cache-control: max-age=60", "", False, "status"),
    ("9213-2.2", 200, "cache-control: no-store | sluicegate-cache-control: max-age=9", "", False, None),
    ("9213-2.2", 200, "cache-control: private | sluicegate-cache-control: max-age=9", "", False, None),
    ("9213-2.2", 200, "cache-control: max-age=9 | sluicegate-cache-control: no-store", "", False, "no-store"),
    ("9213-2.2", 200, "cache-control: max-age=9 | sluicegate-cache-control: private", "", False, "private"),
    ("9213-2.2", 200, "cache-control: max-age=9 | sluicegate-cache-control: private=?0", "", False, None),
    ("9213-2.1", 200, "cache-control: no-store | sluicegate-cache-control: max-age=\"", "", False, "no-store"),
]  # fmt: skip
STORING += [("9110-15.1", status, "", "", False, None) for status in sorted(HEURISTIC)]
STORING += [("poison", status, "cache-control: max-age=60", "", False, "status") for status in sorted(NEVER)]


@pytest.mark.parametrize(("rule", "status", "answer", "asked", "authorization", "why"), STORING)
def test_storing(rule, status, answer, asked, authorization, why):
    assert storing(answer, status=status, asked=asked, authorization=authorization) == why, rule


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (503, "", None),
        (400, "", None),
        (404, "cache-control: no-store", "no-store"),
        (404, "", None),
        (502, "", "status"),
    ],
)
def test_negative_rules_allow_statuses(status, answer, why):
    assert storing(answer, status=status, rules=Rules(negative={404: 1.0, 400: 1.0, 503: 1.0})) == why


AGES = [
    ("9111-4.2.3", f"date: {at(0)}", 0, 0),
    ("9111-4.2.3", f"date: {at(-30)}", 0, 30),
    ("9111-4.2.3", f"date: {at(-30)} | age: 10", 0, 30),
    ("9111-4.2.3", f"date: {at(-30)} | age: 50", 0, 50),
    ("9111-4.2.3", f"date: {at(0)} | age: 10", 5, 15),
    ("9111-4.2.3", f"date: {at(0)}", 5, 5),
    ("9111-4.2.3", f"date: {at(100)}", 0, 0),
    ("9111-4.2.3", "date: Fri, 01 Jan 2200 00:00:00 GMT", 0, 0),
    ("9111-4.2.3", "date: Wed, 31 Dec 1969 23:59:59 GMT", 0, 1_800_000_001),
    ("9110-6.6.1", "", 0, 0),
    ("9110-6.6.1", "date: today", 0, 0),
    ("9110-6.6.1", f"date: {at(-30)} | date: {at(-60)}", 0, 0),
    ("9111-5.1", "age: 7, 9", 0, 7),
    ("9111-5.1", "age: 7 | age: 9", 0, 7),
    ("9111-5.1", "age: -7", 0, 0),
    ("9111-5.1", "age: 7.5", 0, 0),
    ("9111-5.1", "age: old", 0, 0),
    ("9111-5.1", 'age: "7"', 0, 0),
    ("9111-5.1", "age: ", 0, 0),
    ("9111-5.1", "age: 99999999999999", 0, FAR),
]


@pytest.mark.parametrize(("rule", "answer", "delay", "expected"), AGES)
def test_initial_age(rule, answer, delay, expected):
    assert initial_age(headers(answer), WALL, delay) == expected, rule


FRESH, MUST = "cache-control: max-age=60", "cache-control: max-age=60, must-revalidate"
REUSE = [
    # rule, answer, seconds later, request's directives, what is done
    ("9111-4.2", FRESH, 0, "", SERVE),
    ("9111-4.2", FRESH, 59, "", SERVE),
    ("9111-4.2", FRESH, 60, "", VALIDATE),
    ("9111-4.2", FRESH, 61, "", VALIDATE),
    ("9111-4.2", FRESH + " | age: 59", 0, "", SERVE),
    ("9111-4.2", FRESH + " | age: 60", 0, "", VALIDATE),
    ("9111-4.2", FRESH + f" | date: {at(-60)}", 0, "", VALIDATE),
    ("9111-4.2", "cache-control: max-age=0", 0, "", VALIDATE),
    ("9111-4.2", "", 0, "", VALIDATE),
    ("9111-5.2.2.4", "cache-control: no-cache, max-age=60", 0, "", VALIDATE),
    ("9111-5.2.2.4", "cache-control: no-cache, max-age=60", 0, "max-stale", VALIDATE),
    ("9111-5.2.2.4", 'cache-control: no-cache="x-a", max-age=60', 0, "", SERVE),
    ("9111-5.2.2.4", 'cache-control: no-cache="", max-age=60', 0, "", VALIDATE),
    ("9111-5.2.1.1", FRESH, 10, "max-age=10", SERVE),
    ("9111-5.2.1.1", FRESH, 11, "max-age=10", VALIDATE),
    ("9111-5.2.1.1", FRESH, 1, "max-age=0", VALIDATE),
    ("9111-5.2.1.1", FRESH, 0, "max-age=0", SERVE),
    ("9111-5.2.1.1", FRESH, 1, "max-age=abc", VALIDATE),
    ("9111-5.2.1.1", FRESH, 70, "max-age=100", VALIDATE),
    ("9111-5.2.1.2", FRESH, 70, "max-stale", SERVE),
    ("9111-5.2.1.2", FRESH, 70, "max-stale=10", SERVE),
    ("9111-5.2.1.2", FRESH, 71, "max-stale=10", VALIDATE),
    ("9111-5.2.1.2", FRESH, 70, "max-stale=abc", VALIDATE),
    ("9111-5.2.1.2", FRESH, 70, "max-stale=100, max-age=100", SERVE),
    ("9111-5.2.1.3", FRESH, 30, "min-fresh=30", SERVE),
    ("9111-5.2.1.3", FRESH, 31, "min-fresh=30", VALIDATE),
    ("9111-5.2.1.3", FRESH, 31, "min-fresh=abc", SERVE),
    ("9111-5.2.1.4", FRESH, 0, "no-cache", VALIDATE),
    ("9111-5.2.1.4", FRESH, 0, "NO-CACHE", VALIDATE),
    ("9111-5.2.1.4", FRESH, 0, "no-cache, max-stale", VALIDATE),
    ("9111-5.2.1.5", FRESH, 0, "no-store", SERVE),
    ("9111-5.2.1.6", FRESH, 0, "no-transform", SERVE),
    ("9111-5.2.1.7", FRESH, 0, "only-if-cached", SERVE),
    ("9111-5.2.3", FRESH, 0, "community=\"x\"", SERVE),
    ("9111-4.2.4", MUST, 70, "max-stale", VALIDATE),
    ("9111-4.2.4", "cache-control: max-age=60, proxy-revalidate", 70, "max-stale", VALIDATE),
    ("9111-4.2.4", "cache-control: s-maxage=60", 70, "max-stale", VALIDATE),
    ("9111-4.2.4", "cache-control: s-maxage=60", 59, "", SERVE),
    ("5861-3", FRESH + ", stale-while-revalidate=30", 60, "", REFRESH),
    ("5861-3", FRESH + ", stale-while-revalidate=30", 89, "", REFRESH),
    ("5861-3", FRESH + ", stale-while-revalidate=30", 90, "", VALIDATE),
    ("5861-3", FRESH + ", stale-while-revalidate=30", 59, "", SERVE),
    ("5861-3", FRESH + ", stale-while-revalidate=abc", 60, "", VALIDATE),
    ("5861-3", MUST + ", stale-while-revalidate=30", 60, "", VALIDATE),
    ("5861-3", "cache-control: s-maxage=60, stale-while-revalidate=30", 60, "", VALIDATE),
    ("5861-3", FRESH + ", stale-while-revalidate=30", 60, "max-age=100", VALIDATE),
    ("5861-3", FRESH + ", stale-while-revalidate=30", 60, "x", REFRESH),
    ("8246-2", FRESH + ", immutable", 0, "max-age=0", SERVE),
    ("8246-2", FRESH + ", immutable", 60, "", VALIDATE),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "answer", "later", "asked", "action"), REUSE)
def test_reuse(rule, answer, later, asked, action):
    assert decide(stored(answer), parse_directives([asked.encode()]), float(later))[0] is action, rule


def test_an_answer_has_no_age_before_it_was_made():
    assert stored(FRESH + " | age: 5").age_s(-100.0) == 0


@pytest.mark.parametrize(
    ("answer", "later", "asked", "allowed"),
    [
        (FRESH + ", stale-if-error=30", 60, "", True),
        (FRESH + ", stale-if-error=30", 89, "", True),
        (FRESH + ", stale-if-error=30", 90, "", False),
        (FRESH, 60, "", False),
        (FRESH, 70, "stale-if-error=30", True),
        (MUST + ", stale-if-error=30", 60, "", False),
        (FRESH + ", no-cache, stale-if-error=30", 60, "", False),
        (FRESH + ", stale-if-error=30", 60, "no-cache", False),
        ("cache-control: s-maxage=60, stale-if-error=30", 60, "", False),
    ],
)
def test_stale_if_error(answer, later, asked, allowed):
    assert serves_on_error(stored(answer), parse_directives([asked.encode()]), float(later)) is allowed


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ("age: 5", b"age"),
        ("content-length: 10", b"content-length"),
        ("cache-control: public | set-cookie: a=b", b"set-cookie"),
        ("sluicegate-cache-control: max-age=1", OWN_FIELD),
        ('cache-control: no-cache="x-a, x-b" | x-a: 1', b"x-a"),
        ('cache-control: private="X-A" | x-a: 1', b"x-a"),
    ],
)
def test_fields_that_are_not_stored(answer, gone):
    assert stored(answer).headers.get(gone) is None


@pytest.mark.parametrize(
    "date",
    ["", "date: never", f"date: {at(-5)} | date: {at(-9)}", f'cache-control: private="date" | date: {at(-5)}'],
    ids=["missing", "broken", "two", "not-to-be-stored"],
)
def test_a_missing_or_broken_date_is_repaired(date):
    assert stored(date).headers.get_all(b"date") == [format_date(WALL)]


VARIES = [
    ("vary: accept", "accept: a", "accept: a", True),
    ("vary: accept", "accept: a", "accept: b", False),
    ("vary: Accept", "accept: a", "accept: a", True),
    ("vary: accept", "accept: a", "", False),
    ("vary: accept", "", "", True),
    ("vary: accept", "", "accept: a", False),
    ("vary: accept", "accept: a,b", "accept: a ,  b", True),
    ("vary: accept", "accept: a | accept: b", "accept: a, b", True),
    ("vary: accept", "accept: a, b", "accept: b, a", False),
    ("vary: accept, x-a", "accept: a | x-a: 1", "accept: a | x-a: 1", True),
    ("vary: accept | vary: x-a", "accept: a | x-a: 1", "accept: a | x-a: 2", False),
    ("vary: accept-encoding", "accept-encoding: gzip, br", "accept-encoding: BR,gzip;q=1.0", True),
    ("vary: accept-encoding", "accept-encoding: gzip", "accept-encoding: gzip;q=0.5", False),
    ("vary: accept-encoding", "accept-encoding: gzip", "accept-encoding: gzip;q=0", False),
    ("vary: accept-encoding", "accept-encoding: gzip", "", False),
    ("vary: x-a", "", "x-b: 1", True),
    ("content-encoding: gzip", "accept-encoding: gzip", "accept-encoding: gzip", True),
    ("content-encoding: gzip", "accept-encoding: gzip", "", False),
    ("content-encoding: gzip", "accept-encoding: gzip", "accept-encoding: br", False),
    ("content-encoding: x-gzip", "", "accept-encoding: gzip", True),
    ("content-encoding: gzip, br", "", "accept-encoding: gzip", False),
    ("content-encoding: identity", "", "", True),
    ("content-encoding: aes128gcm", "", "", True),
    ("content-encoding: aes128gcm, gzip", "", "", False),
    ("content-encoding: aes128gcm | content-encoding: gzip", "", "", False),
    ("content-encoding: br, gzip", "", "accept-encoding: gzip, br", True),
    ("vary: accept-language", "accept-language: de-CH, en", "accept-language: DE-ch ,EN", True),
    ("vary: accept-language", "accept-language: de, en", "accept-language: en, de", False),
    ("vary: accept", "accept: a/b;c=D", "accept: a/b;c=d", False),
    ("", "accept: a", "accept: b", True),
]


def test_a_megabyte_of_vary_is_not_stored():
    assert storing("cache-control: max-age=60 | vary: " + "x," * 500_000) == "vary"


@pytest.mark.parametrize(("answer", "first", "second", "selected"), VARIES)
def test_vary(answer, first, second, selected):
    assert stored(answer, request=first).selector.selects(headers(second)) is selected


def test_a_304_freshens_every_field_but_those_of_the_content():
    old = stored(
        'etag: "a" | content-type: text/plain | content-encoding: gzip | x-a: 1 | x-b: 1 | cache-control: max-age=5'
    )
    news = headers('etag: "a" | content-type: a/b | content-encoding: br | x-a: 2 | x-a: 3 | cache-control: max-age=60')
    fresh, terms = freshened(old, news, Rules(), now=100.0, wall=WALL + 100, delay_s=1.0)
    assert fresh.headers.get_all(b"x-a") == [b"2", b"3"]
    assert (fresh.headers.get(b"x-b"), fresh.headers.get(b"content-type")) == (b"1", b"a/b")
    assert fresh.headers.get(b"content-encoding") == b"gzip"
    assert (fresh.body, fresh.lifetime_s, terms.lifetime_s) == (old.body, 60, 60)
    assert fresh.age_s(100.0) == 1.0
    assert decide(fresh, {}, 158.0)[0] is SERVE


def test_a_304_without_the_targeted_field_leaves_it_in_force():
    old = stored("sluicegate-cache-control: max-age=50 | cache-control: no-store")
    fresh, _ = freshened(old, headers("x-a: 1"), Rules(), now=10.0, wall=WALL + 10, delay_s=0.0)
    assert fresh.lifetime_s == 50
    assert fresh.headers.get(OWN_FIELD) is None


@pytest.mark.parametrize(
    ("head", "outdated"),
    [
        ('etag: "a"', False),
        ('etag: "b"', True),
        ("content-length: 10", False),
        ("content-length: 11", True),
        (f"last-modified: {at(-5)}", True),
        ("", False),
    ],
)
def test_a_head_that_differs_outdates_what_is_stored(head, outdated):
    assert outdated_by_head(stored('etag: "a"'), headers(head)) is outdated


def test_tags_are_read_from_whatever_field_was_configured():
    one = stored("server: a b,c", rules=Rules(tags_header=b"server"))
    assert [one.has_tag(tag) for tag in (b"a", b"b", b"c", b"a b", b"")] == [True, True, True, False, False]


@pytest.mark.parametrize("raw", [None, b"", b"-1", b"+1", b" 1", b"1 ", b"1e3", b"\xb2", b"0x1"])
def test_what_is_no_number_of_seconds(raw):
    assert seconds(raw) is None


def test_the_table_has_two_hundred_cases():
    assert sum(map(len, (LIFETIMES, STORING, AGES, REUSE, VARIES))) >= 200
    assert all(rule for rule, *_ in itertools.chain(LIFETIMES, STORING, AGES, REUSE))
