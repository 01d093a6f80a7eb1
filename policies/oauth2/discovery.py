"""Gets an issuer's keys: by discovery, from a URL or from a file. Decides nothing about when, or for how long."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from gateway.api.ports import Fetch

MAX_DOCUMENT = 512 * 1024  # octets; the largest key sets in the wild have about 50 KiB
FETCH_TIMEOUT_S = 5.0


class NoKeys(Exception):
    """The issuer's keys could not be had; the message is for the log."""


def is_url(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer may describe itself, most usual first.

    OpenID Connect Discovery 1.0 §4 appends its path to the issuer's; RFC 8414 §3.1 puts it between host and path.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")

    def at(where: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, where, "", ""))

    urls = (
        at(f"{path}/.well-known/openid-configuration"),
        at(f"/.well-known/oauth-authorization-server{path}"),
        at(f"/.well-known/openid-configuration{path}"),
    )
    return tuple(dict.fromkeys(urls))


class KeySource:
    """Where one issuer's JWK set comes from."""

    def __init__(self, issuer: str, jwks: str | None, fetch: Fetch) -> None:
        self._issuer = issuer
        self._jwks = jwks
        self.path = Path(jwks) if jwks is not None and not is_url(jwks) else None  # the file, when it is one
        self._fetch = fetch
        self._discovered: str | None = None
        self._seen: tuple[int, int, int] | None = None

    def read_file(self) -> bytes:
        assert self.path is not None, "asked for the file of a source that is a URL"
        try:
            self._seen = self._look()
            return self.path.read_bytes()
        except OSError as exc:
            raise NoKeys(f"cannot read {self.path}: {exc.strerror}") from exc

    @property
    def file_changed(self) -> bool:
        """Whether there is a file that is not the one last read: thousands of routes may share an issuer."""
        try:
            return self.path is not None and self._look() != self._seen
        except OSError:
            return True

    def _look(self) -> tuple[int, int, int]:
        assert self.path is not None, "asked for the file of a source that is a URL"
        status = self.path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size

    async def get(self) -> bytes:
        """The JWK set, as it came. Raises NoKeys."""
        if self.path is not None:
            return self.read_file()
        return await self._document(self._jwks or await self._jwks_uri())

    async def _jwks_uri(self) -> str:
        """What the issuer's metadata says now; when it cannot be had, what it said last."""
        try:
            self._discovered = await self._discover()
        except NoKeys:
            if self._discovered is None:
                raise
        return self._discovered

    async def _discover(self) -> str:
        why = ""
        for url in metadata_urls(self._issuer):
            try:
                metadata = json.loads(await self._document(url))
            except NoKeys as exc:
                why = why or str(exc)
                continue
            except (ValueError, RecursionError):
                why = why or f"{url}: not JSON"
                continue
            # RFC 8414 §3.3: metadata of another issuer must not be used
            if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
                why = f"{url}: its `issuer` is not {self._issuer}"
                continue
            uri = metadata.get("jwks_uri")
            if isinstance(uri, str) and is_url(uri) and (uri.startswith("https:") or self._issuer.startswith("http:")):
                return uri
            why = f"{url}: no usable jwks_uri"
        raise NoKeys(why)

    async def _document(self, url: str) -> bytes:
        try:
            fetched = await self._fetch(url, headers={"accept": "application/json"}, timeout_s=FETCH_TIMEOUT_S)
        except OSError as exc:
            why = str(exc)
            raise NoKeys(why if url in why else f"{url}: {why}") from exc
        if fetched.status != 200:
            raise NoKeys(f"{url}: answered {fetched.status}")
        if len(fetched.body) > MAX_DOCUMENT:
            raise NoKeys(f"{url}: larger than {MAX_DOCUMENT} octets")
        return fetched.body
