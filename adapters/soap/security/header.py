"""The wsse:Security header (WS-Security 1.1, UsernameToken Profile 1.1). Pure: nonce and time are arguments."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Final

from adapters.soap.codec.markup import escape_text

_OASIS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
WSSE: Final = _OASIS + "wssecurity-secext-1.0.xsd"
WSU: Final = _OASIS + "wssecurity-utility-1.0.xsd"
_TOKEN: Final = _OASIS + "username-token-profile-1.0"
BASE64: Final = _OASIS + "soap-message-security-1.0#Base64Binary"
X509: Final = _OASIS + "x509-token-profile-1.0#X509v3"


@dataclass(frozen=True, slots=True)
class Moment:
    """What a request's security header must not repeat. `mark` makes the ids of signed elements hard to guess:

    a caller who could name one in an attribute of their own would make the signature's references ambiguous.
    """

    now: datetime
    nonce: bytes
    mark: str

    def name(self, element: str) -> str:
        return f"{element}-{self.mark}"

    @property
    def body_id(self) -> str:
        return f' xmlns:wsu="{WSU}" wsu:Id="{self.name("Body")}"'


def instant(moment: datetime) -> str:
    """UTC to the millisecond, as WS-I Basic Security Profile 1.1 R3223 wants it at most."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def timestamp(moment: Moment, lifetime_s: float) -> str:
    expires = moment.now + timedelta(seconds=lifetime_s)
    return (
        f'<wsu:Timestamp wsu:Id="{moment.name("Timestamp")}"><wsu:Created>{instant(moment.now)}</wsu:Created>'
        f"<wsu:Expires>{instant(expires)}</wsu:Expires></wsu:Timestamp>"
    )


def username_token(moment: Moment, username: str, password: str, *, digest: bool) -> str:
    """UsernameToken Profile 1.1 §3.1: Password_Digest = Base64(SHA-1(nonce + created + password))."""
    created = instant(moment.now)
    if digest:
        # SHA-1 is the profile's; it protects a secret that TLS protects as well
        hashed = sha1(moment.nonce + created.encode() + password.encode()).digest()  # noqa: S324
        secret = f'<wsse:Password Type="{_TOKEN}#PasswordDigest">{b64encode(hashed).decode()}</wsse:Password>'
    else:
        secret = f'<wsse:Password Type="{_TOKEN}#PasswordText">{escape_text(password)}</wsse:Password>'
    return (
        f"<wsse:UsernameToken><wsse:Username>{escape_text(username)}</wsse:Username>{secret}"
        f'<wsse:Nonce EncodingType="{BASE64}">{b64encode(moment.nonce).decode()}</wsse:Nonce>'
        f"<wsu:Created>{created}</wsu:Created></wsse:UsernameToken>"
    )


def security_header(*parts: str) -> str:
    """The header block; `env` is the envelope's own prefix."""
    return (
        f'<wsse:Security xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" env:mustUnderstand="1">{"".join(parts)}</wsse:Security>'
    )
