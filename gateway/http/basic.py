"""Credentials of an OAuth2 client in an Authorization field. Knows no endpoint and keeps no secret."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote_plus


def client_basic(client_id: str, client_secret: str) -> str:
    """`Basic …` as RFC 6749 §2.3.1 wants it: both parts form-encoded first, unlike RFC 7617 on its own."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + b64encode(pair.encode("ascii")).decode("ascii")
