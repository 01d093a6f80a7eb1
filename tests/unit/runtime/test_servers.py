"""Which server a listener gets, and when workers must be exchanged for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from gateway.api.settings.listen import Certificate, Listen, ListenTls
from gateway.runtime.servers import CannotServeError, choose, identity


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    certificate = trustme.CA().issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    return str(cert), str(key)


def tls(files: tuple[str, str], count: int = 1, **fields: object) -> Listen:
    certificate = Certificate.model_construct(cert=files[0], key=files[1], hosts=())
    return Listen.model_construct(
        **(dict(Listen()) | {"tls": ListenTls.model_construct(**_tls_fields([certificate] * count, fields))})
    )


def _tls_fields(certificates: list[Certificate], fields: dict[str, object]) -> dict[str, object]:
    defaults = {"min_version": "1.2", "client_cert": "none", "client_ca": None, "client_crl": None}
    return defaults | fields | {"certificates": tuple(certificates)}


def test_auto_is_granian_unless_it_cannot(files: tuple[str, str]) -> None:
    assert choose(Listen()) == "granian"
    assert choose(tls(files)) == "granian"
    assert choose(tls(files, 2)) == "uvicorn"
    assert choose(tls(files, client_cert="optional", client_ca=files[0])) == "uvicorn"
    assert choose(Listen(max_headers=101)) == "uvicorn"
    assert choose(Listen(server="uvicorn")) == "uvicorn"


def test_the_command_line_beats_the_configuration() -> None:
    assert choose(Listen(server="uvicorn"), "granian") == "granian"
    assert choose(Listen(server="granian"), "uvicorn") == "uvicorn"


def test_granian_is_refused_what_it_cannot_do(files: tuple[str, str]) -> None:
    with pytest.raises(CannotServeError, match="several certificates cannot be served by granian"):
        choose(tls(files, 2), "granian")


def test_workers_are_exchanged_for_what_a_server_takes_at_its_start_only(files: tuple[str, str]) -> None:
    before = identity([Listen()])
    assert identity([Listen(body_timeout="5s", path={"double_slash": "keep"})]) == before
    assert identity([Listen(keep_alive="5s")]) != before
    assert identity([Listen(), Listen(port=8443)]) != before
    secure = identity([tls(files)])
    Path(files[0]).write_text("renewed")
    assert identity([tls(files)]) != secure
