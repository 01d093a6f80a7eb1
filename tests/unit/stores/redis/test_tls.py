"""rediss://: whom the store believes to be its server, and how it shows who it is itself."""

import pytest
import trustme

from gateway.stores.keys import scoped
from gateway.stores.open import check_url
from tests.conftest import MISSING
from tests.redis_servers import RedisServer, free_port, programs
from tests.unit.stores.redis.scenes import PATIENT, opened


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory, authority):
    """ca.pem, other.pem (a stranger's), server.pem and .key, client.pem and .key."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    for name, leaf in (
        ("server", authority.issue_cert("localhost", "redis.internal")),
        ("client", authority.issue_cert("gateway@example.com", common_name="gateway")),
    ):
        leaf.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        leaf.private_key_pem.write_to_path(folder / f"{name}.key")
    return folder


@pytest.fixture(scope="module")
def tls_port(files):
    if "redis-server" not in programs():
        pytest.skip(MISSING)
    port = free_port()
    options = ("--tls-port", port, "--tls-cert-file", files / "server.pem", "--tls-key-file", files / "server.key")
    options += ("--tls-ca-cert-file", files / "ca.pem", "--tls-auth-clients", "yes")
    with RedisServer(programs()["redis-server"], *map(str, options)):
        yield port


def test_a_server_that_is_vouched_for_and_asks_for_our_certificate(tls_port, files, play):
    async def scenario():
        ours = f"ca={files}/ca.pem&cert={files}/client.pem&key={files}/client.key"
        for place in (f"localhost:{tls_port}/0?{ours}", f"127.0.0.1:{tls_port}/0?{ours}&server_name=redis.internal"):
            async with opened(f"rediss://{place}&{PATIENT}") as backend:
                await backend.settled()
                assert backend.standing.reason == ""
                await scoped(backend, "policy").put("k", b"v" * 100_000, 60)
                assert await scoped(backend, "policy").get("k") == b"v" * 100_000

    play(scenario())


@pytest.mark.parametrize(
    ("place", "options", "reason"),
    [
        ("localhost", "ca=other.pem", "certificate verify failed"),
        ("127.0.0.1", "ca=ca.pem", "IP address mismatch"),
        ("localhost", "ca=ca.pem&server_name=other.internal", "Hostname mismatch"),
        ("localhost", "ca=ca.pem", ""),
    ],
    ids=["a stranger", "another address", "another name", "without our certificate"],
)
def test_servers_that_are_not_believed(place, options, reason, tls_port, files, play):
    options = options.replace("ca=", f"ca={files}/")

    async def scenario():
        async with opened(f"rediss://{place}:{tls_port}/0?{options}&{PATIENT}") as backend:
            await backend.settled()
            assert not backend.standing.available
            assert reason in backend.standing.reason
            assert backend.standing.reason

    play(scenario())


def test_plain_text_where_tls_is_spoken_and_the_other_way(tls_port, redis_server, play):
    async def scenario():
        async with opened(f"redis://localhost:{tls_port}?{PATIENT}") as backend:
            await backend.settled()
            assert not backend.standing.available
        async with opened(f"rediss://localhost:{redis_server.port}?{PATIENT}") as backend:
            await backend.settled()
            assert not backend.standing.available

    play(scenario())


def test_files_of_no_use_are_found_before_anything_is_opened(files):
    check_url(f"rediss://cache?ca={files}/ca.pem&cert={files}/client.pem&key={files}/client.key")
    with pytest.raises(ValueError, match=r"of no use: .*/absent.pem"):
        check_url("rediss://cache?ca=/absent.pem")
    with pytest.raises(ValueError, match="of no use: "):
        check_url(f"rediss://cache?cert={files}/client.pem&key={files}/server.key")
