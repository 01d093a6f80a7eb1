"""The adapter `soap`: a JSON API in front of a SOAP service, derived from its WSDL alone."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.soap.check import check
from adapters.soap.config import SoapConfig
from adapters.soap.route import build
from gateway.api.adapter import AdapterSpec


def _files(config: SoapConfig) -> Iterator[str]:
    if not config.wsdl.startswith(("http://", "https://")):
        yield config.wsdl
    signature = config.security.signature
    if signature is not None:
        yield from (path for path in (signature.cert, signature.key, signature.verify) if path is not None)


ADAPTER = AdapterSpec(name="soap", config=SoapConfig, build=build, check=check, files=_files)

__all__ = ["ADAPTER"]
