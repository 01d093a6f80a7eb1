"""The first words on a connection: who we are, which database, whether the server is of use. And the TLS beneath them."""

from __future__ import annotations

import asyncio
import re
import ssl

from gateway.api.errors import StoreError
from gateway.stores.redis.address import Address, Tls
from gateway.stores.redis.link import NONSENSE, Link

OLDEST = (6, 2)  # SET … PXAT
_VERSION = re.compile(rb"redis_version:(\d+)\.(\d+)")
_FORBIDDEN = "NOPERM"  # an ACL leaves out a command that we can do without


def context_of(tls: Tls) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError too) when a file is of no use."""
    for path in (tls.ca, tls.cert, tls.key):
        if path is not None:
            with open(path, "rb"):  # OpenSSL's own complaint does not name the file
                pass
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


async def greet(link: Link, address: Address) -> None:
    """Raises StoreError when the server is of no use, with the reason."""
    demanded: list[tuple[str, asyncio.Future[object]]] = []
    if address.password:
        # one word for the default user: a server with `requirepass` may know no other form
        words = (address.user, address.password) if address.user else (address.password,)
        demanded.append(("it refuses the password: ", link.ask("AUTH", *words)))
    if address.db:
        demanded.append(("", link.ask("SELECT", address.db)))
    named = link.ask("CLIENT", "SETNAME", "sluicegate")
    version = link.ask("INFO", "server")
    await asyncio.gather(*(future for _, future in demanded), named, version, return_exceptions=True)
    for what, future in demanded:
        if (error := future.exception()) is not None:
            raise StoreError(f"{what}{error}")
    if (error := version.exception()) is not None:
        if str(error).startswith(_FORBIDDEN):
            return
        raise error
    told = version.result()
    found = _VERSION.search(told) if isinstance(told, bytes) else None
    if found is None:
        raise StoreError(NONSENSE)
    major, minor = int(found[1]), int(found[2])
    if (major, minor) < OLDEST:
        raise StoreError(f"Redis {major}.{minor} is too old; {OLDEST[0]}.{OLDEST[1]} or newer is needed")
