"""The codec: bytes to values and back. Pure: no clock, no network, no files but its own tables."""
