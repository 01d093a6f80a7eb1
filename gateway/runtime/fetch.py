"""The control plane's HTTP client: JWKS, discovery, tokens. httpx, because here its comfort costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

MAX_BODY = 2 * 2**20  # octets; a JWKS of hundreds of keys stays below 1 MiB


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpFetch:
    """Implements gateway.api.ports.Fetch. Owns its connections; `close` ends them."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None  # made when first asked: most gateways have no issuer

    async def __call__(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
    ) -> Answer:
        if self._client is None:
            # 7 MiB, which few processes need; in a thread, because it takes 100 ms and calls go on meanwhile
            await asyncio.to_thread(import_module, "httpx")
        import httpx  # noqa: PLC0415

        if self._client is None:
            # an issuer that redirects its keys elsewhere is a finding for its operators, not a thing to follow
            self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False)
        try:
            # httpx bounds each read; an answer that comes octet by octet must end as well
            async with (
                asyncio.timeout(timeout_s),
                self._client.stream(method, url, headers=headers, data=data, timeout=timeout_s) as response,
            ):
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_BODY:
                        raise OSError(f"{url}: the answer is longer than {MAX_BODY} octets")
                return Answer(response.status_code, response.headers, bytes(body))
        except TimeoutError as exc:
            raise OSError(f"{url}: no whole answer within {timeout_s:g} s") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise OSError(f"{url}: {exc or type(exc).__name__}") from exc

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None
