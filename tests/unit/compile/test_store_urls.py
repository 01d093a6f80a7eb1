"""What is wrong with a store's URL is found where it is written, before anything is opened."""

from __future__ import annotations

import pytest

from tests.unit.compile.conftest import CompileText

CONFIGURATION = """
    version: 1
    stores: {named: NAMED}
    store: DEFAULT
    routes:
      - {name: one, match: {path: /one}, public: true, respond: {status: 204}, policies: {stored: {store: OWN}}}
"""

SOUND = ("memory", "sqlite", "sqlite:///var/x.db?sync=normal", "redis://:pass@h:1/2?prefix=a:&timeout=5ms&acks=1")


@pytest.mark.parametrize("place", ["NAMED", "DEFAULT", "OWN"])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://:secret@h:port/0", "hosts are written as HOST:PORT"),
        ("redis://:secret@h/0?pool=9", "a Redis store has no option 'pool'"),
        ("redis+sentinel://:secret@h", "sentinels are asked for a master"),
        ("rediss+cluster://:secret@h/3", "a cluster has no databases"),
        ("rediss://:secret@h?ca=/absent/ca.pem", "the TLS files of the store are of no use"),
        ("sqlite:///x?sync=off", "a SQLite store has one option"),
    ],
)
def test_findings(compiled: CompileText, place: str, url: str, message: str) -> None:
    text = CONFIGURATION.replace(place, f'"{url}"')
    for other in {"NAMED", "DEFAULT", "OWN"} - {place}:
        text = text.replace(other, "memory")
    (finding,) = compiled(text).findings
    assert message in finding.message
    assert "secret" not in str(finding)
    assert (
        finding.path == {"NAMED": "stores.named", "DEFAULT": "store", "OWN": "routes.one.policies.stored.store"}[place]
    )


@pytest.mark.parametrize("url", SOUND)
def test_sound_ones(compiled: CompileText, url: str) -> None:
    text = CONFIGURATION.replace("NAMED", f'"{url}"').replace("DEFAULT", f'"{url}"').replace("OWN", "named")
    assert [str(each) for each in compiled(text).findings] == []
