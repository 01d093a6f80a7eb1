"""The adapter `soap`: a JSON API in front of a SOAP service, derived from its WSDL alone.

The compiler and lxml are imported by the first route that has it: every process looks at this folder, few need them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adapters.soap.config import SoapConfig
from gateway.api.adapter import AdapterScope, AdapterSpec, BuiltAdapter
from gateway.api.policy import Complaint


def _build(config: SoapConfig, scope: AdapterScope) -> BuiltAdapter:
    from adapters.soap.route import build  # noqa: PLC0415

    return build(config, scope)


def _check(config: SoapConfig, scope: AdapterScope) -> Iterable[Complaint]:
    from adapters.soap.check import check  # noqa: PLC0415

    return check(config, scope)


def _files(config: SoapConfig) -> Iterator[str]:
    if not config.wsdl.startswith(("http://", "https://")):
        yield config.wsdl
    signature = config.security.signature
    if signature is not None:
        yield from (path for path in (signature.cert, signature.key, signature.verify) if path is not None)


ADAPTER = AdapterSpec(name="soap", config=SoapConfig, build=_build, check=_check, files=_files)

__all__ = ["ADAPTER"]
