"""What an upstream is told of us at the beginning of an HTTP/2 connection (RFC 9113 §6.5, §6.9). Knows no stream."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from gateway.upstream.wire import MAX_HEAD

# octets an answer may be ahead of its reader; Envoy 16 MiB since 1.36, Go 4 MiB, nghttp2 64 KiB
STREAM_WINDOW = 256 * 1024
CONNECTION_WINDOW = 2**31 - 1  # never in the way: each stream is bounded by itself


def protocol() -> H2Connection:
    """h2's side of a new connection. Fields are checked by us, both ways."""
    h2 = H2Connection(
        H2Configuration(client_side=True, validate_inbound_headers=False, validate_outbound_headers=False)
    )
    h2.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
        },
    )
    return h2


def introduce(h2: H2Connection) -> None:
    """The preface, with these settings, and the window of the whole connection."""
    h2.initiate_connection()
    h2.increment_flow_control_window(CONNECTION_WINDOW - h2.inbound_flow_control_window)
