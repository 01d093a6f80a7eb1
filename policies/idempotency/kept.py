"""An answer as it is kept: octets, under AES-256-GCM where the configuration names a key. Decides nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Fields = tuple[tuple[bytes, bytes], ...]

KEY_OCTETS = 32  # AES-256
NONCE_OCTETS = 12  # NIST SP 800-38D §8.2.2: drawn at random; below 2^32 answers a key
_SEALED = b"\x01"  # what is not encrypted begins with "["


class UnreadableError(Exception):
    """An answer is there, and the key that it was kept under is not, or it was changed."""


@dataclass(slots=True)  # frozen ones take 1 µs more to make
class Answer:
    """What is given to whoever asks again. `too_large`: it was executed, and its answer was not kept."""

    status: int
    headers: Fields
    body: bytes
    too_large: bool = False
    settled_by: str = ""  # the operator who wrote it down, with the reason


class _Key(NamedTuple):
    cipher: AESGCM
    of_fingerprints: bytes


class Keyring:
    """The keys that answers are kept under: the first writes, all of them read. Empty: nothing is encrypted."""

    def __init__(self, text: str | None) -> None:
        """`text` holds keys of 32 octets, in hex or base64, between blanks or line feeds. Raises ValueError."""
        self._keys = {} if text is None else dict(map(_key, text.split()))
        if text is not None and not self._keys:
            raise ValueError("no key is in it")
        self.writes = next(iter(self._keys), None)
        """The id of the key that encrypts."""
        self.secrets: Mapping[str, bytes] = {name: key.of_fingerprints for name, key in self._keys.items()}
        """What fingerprints are keyed with, by the id of the key."""

    def keep(self, answer: Answer, place: str) -> bytes:
        """`place` is bound in: what is kept of one key is no answer of another."""
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        line = orjson.dumps([answer.status, fields, answer.too_large, answer.settled_by])
        plain = line + b"\n" + answer.body
        if self.writes is None:
            return plain
        nonce = os.urandom(NONCE_OCTETS)
        sealed = self._keys[self.writes].cipher.encrypt(nonce, plain, place.encode())
        return _SEALED + self.writes.encode("ascii") + nonce + sealed

    def read(self, kept: bytes, place: str) -> Answer:
        """Raises UnreadableError."""
        if kept.startswith(_SEALED):
            kept = self._opened(kept[1:], place)
        line, _, body = kept.partition(b"\n")
        status, fields, too_large, settled_by = orjson.loads(line)
        headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields)
        return Answer(status, headers, body, too_large, settled_by)

    def _opened(self, sealed: bytes, place: str) -> bytes:
        name, sealed = sealed[:_ID_LENGTH].decode("ascii", "replace"), sealed[_ID_LENGTH:]
        key = self._keys.get(name)
        if key is None:
            raise UnreadableError(f"it was kept under a key with the id {name}, which is not there")
        try:
            return key.cipher.decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], place.encode())
        except InvalidTag:
            raise UnreadableError("it was changed since it was kept, or belongs to another key") from None


_ID_LENGTH = 8


def _key(written: str) -> tuple[str, _Key]:
    try:
        secret = bytes.fromhex(written) if re.fullmatch(r"[0-9a-fA-F]{64}", written) else _base64(written)
    except binascii.Error:
        secret = b""
    if len(secret) != KEY_OCTETS:
        raise ValueError(
            f"a key is {KEY_OCTETS} random octets, written in hex or base64, as `openssl rand -hex 32` prints them"
        )
    name = hashlib.sha256(b"sluicegate key id" + secret).hexdigest()[:_ID_LENGTH]
    return name, _Key(AESGCM(secret), hmac.digest(secret, b"sluicegate fingerprints", "sha256"))


def _base64(written: str) -> bytes:
    return base64.b64decode(written.replace("-", "+").replace("_", "/") + "=" * (-len(written) % 4), validate=True)
