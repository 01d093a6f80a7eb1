"""What of an address is called: its path and query. The host is the upstream's."""

from __future__ import annotations

from urllib.parse import urlsplit


def target_of(configured: str | None, described: str) -> bytes:
    """In origin form, of what the route says, else of the WSDL's soap:address. Raises ValueError for what cannot be called."""
    target = _path_and_query(configured or described)
    if not target.startswith("/") or any(not "!" <= char <= "~" for char in target):
        if configured is None:  # tools leave REPLACE_WITH_ACTUAL_URL and the like there
            raise ValueError("the WSDL's soap:address is no URL; set address to the path that is to be called")
        raise ValueError("address must be a path that begins with a slash, or a URL, in ASCII")
    return target.encode("ascii")


def _path_and_query(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:  # a bracket that is not closed
        return ""
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path
