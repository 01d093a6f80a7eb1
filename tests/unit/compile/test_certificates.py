"""Files of TLS are looked at before they are served, and routes that nobody could ever call are found."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from gateway.api.settings.document import Settings
from gateway.compile import compile_configuration
from gateway.runtime.listen_rules import https_port
from tests.wire.certificates import authority_file, partner, revoke, server_files

AUTHORITY = trustme.CA()
ROUTE = {"name": "all", "match": {"path": "/**"}, "public": True, "respond": {}}
WITH_MTLS = {"name": "all", "match": {"path": "/**"}, "respond": {}, "policies": {"mtls": {}}}


def found(folder: Path, listen: Any, route: dict[str, Any] = ROUTE, **more: Any) -> list[str]:
    (folder / "gateway.yaml").write_text(json.dumps({"version": 1, "listen": listen, "routes": [route], **more}))
    compiled = compile_configuration(folder)
    return [f"{one.level}: {one.path}: {one.message}".replace(str(folder), "DIR") for one in compiled.findings]


def test_what_fits_together_is_fine(tmp_path: Path) -> None:
    tls = {
        "certificates": [server_files(tmp_path, AUTHORITY, "api.example")],
        "client_cert": "optional",
        "client_ca": authority_file(tmp_path, AUTHORITY),
        "client_crl": revoke(tmp_path, AUTHORITY, []),
    }
    assert found(tmp_path, {"tls": tls}, WITH_MTLS) == []
    assert found(tmp_path, [{"port": 1}, {"tls": tls}], WITH_MTLS) == []


def test_granian_is_not_asked_for_what_it_cannot_do(tmp_path: Path) -> None:
    entry = server_files(tmp_path, AUTHORITY, "a.example")
    (finding,) = found(tmp_path, {"server": "granian", "tls": {"certificates": [entry, entry]}})
    assert "several certificates cannot be served by granian; use server: uvicorn, or auto" in finding
    assert found(tmp_path, {"server": "granian", "tls": {"certificates": [entry]}}) == []


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    first, second = (server_files(tmp_path, AUTHORITY, name) for name in ("a.example", "b.example"))
    entry = {"cert": first["cert"], "key": second["key"]}
    (finding,) = found(tmp_path, {"tls": {"certificates": [second, entry]}})
    assert finding == "error: listen.tls.certificates[1].cert: the key DIR/b.example.key is not that of the certificate"
    (finding,) = found(tmp_path, [{"port": 1}, {"tls": {"certificates": [entry]}}])
    assert finding.startswith("error: listen[1].tls.certificates[0].cert: ")


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    entry = server_files(tmp_path, AUTHORITY, "a.example")
    key = serialization.load_pem_private_key((tmp_path / entry["key"]).read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / entry["key"]).write_bytes(locked)
    (finding,) = found(tmp_path, {"tls": {"certificates": [entry]}})
    assert "both are PEM, and the key is not encrypted" in finding


@pytest.mark.parametrize("word", ["cert", "key"])
def test_what_is_no_pem_file(word: str, tmp_path: Path) -> None:
    entry = server_files(tmp_path, AUTHORITY, "a.example")
    (tmp_path / entry[word]).write_text("nothing")
    (finding,) = found(tmp_path, {"tls": {"certificates": [entry]}})
    assert "certificate and key cannot be used" in finding


def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    entry = {"cert": "old.pem", "key": "old.key"}
    old = partner(AUTHORITY, "old", ends=datetime.now(UTC) - timedelta(days=1)).leaf
    old.cert_chain_pems[0].write_to_path(tmp_path / "old.pem")
    old.private_key_pem.write_to_path(tmp_path / "old.key")
    (finding,) = found(tmp_path, {"tls": {"certificates": [entry]}})
    assert finding.startswith("warning: listen.tls.certificates[0].cert: the certificate expired on ")


def test_authorities_and_lists(tmp_path: Path) -> None:
    tls: dict[str, Any] = {"certificates": [server_files(tmp_path, AUTHORITY, "api.example")]}
    tls |= {"client_cert": "required", "client_ca": "nothing.pem", "client_crl": "nothing.pem"}
    (tmp_path / "nothing.pem").write_text("nothing")
    assert found(tmp_path, {"tls": tls}) == [
        "error: listen.tls.client_ca: no certificates in PEM format in DIR/nothing.pem",
        "error: listen.tls.client_crl: no list of revoked certificates in PEM format in DIR/nothing.pem",
    ]
    tls |= {"client_ca": authority_file(tmp_path, AUTHORITY), "client_crl": revoke(tmp_path, AUTHORITY, [], late=True)}
    (finding,) = found(tmp_path, {"tls": tls})
    assert finding.startswith("warning: listen.tls.client_crl: the list of ")
    assert "its certificates are all refused" in finding
    (finding,) = found(tmp_path, {"tls": {**tls, "client_cert": "none", "client_crl": None}})
    assert "do nothing without client_cert" in finding


def test_a_route_that_wants_certificates_which_never_come(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"port": 1}, WITH_MTLS)
    assert finding.startswith("error: listen: routes with mtls can never be called")
    assert (
        found(tmp_path, {"port": 1}, WITH_MTLS, proxy={"trusted": ["10.0.0.0/8"], "client_cert_header": "xfcc"}) == []
    )


@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("CN=acme, OU=Orders, O=Acme Ltd", "CN=acme,OU=Orders,O=Acme Ltd"),
        ("CN=acme,O=Acme\\, Inc.", "CN=acme,O=Acme\\, Inc."),
        ("emailAddress=a@acme.example,serialNumber=7,CN=acme", "1.2.840.113549.1.9.1=a@acme.example,2.5.4.5=7,CN=acme"),
        ("acme", None),
        ("", None),
        ("cn=", None),
    ],
)
def test_subjects_have_one_form(written: str, subject: str | None, tmp_path: Path) -> None:
    consumers = {"acme": {"certificates": [{"subject": written}]}}
    document = {"version": 1, "routes": [ROUTE], "consumers": consumers}
    (tmp_path / "gateway.yaml").write_text(json.dumps(document))
    compiled = compile_configuration(tmp_path)
    if subject is None:
        assert "not a subject (RFC 4514)" in compiled.errors[0].message
    else:
        assert compiled.plan is not None
        assert compiled.plan.consumers["acme"].certificates == (subject,)


@pytest.mark.parametrize(
    ("settings", "port"),
    [
        ({}, 443),
        ({"public_url": "https://api.example"}, 443),
        ({"public_url": "https://api.example:8443"}, 8443),
        ({"public_url": "http://api.example:8080"}, 443),
        ({"listen": [{"port": 80}, {"port": 9443, "tls": {"certificates": [{"cert": "c", "key": "k"}]}}]}, 9443),
    ],
)
def test_where_https_is(settings: dict[str, Any], port: int) -> None:
    assert https_port(Settings(version=1, **settings)) == port
