"""Upstreams that speak messages over TCP or TLS: framing, connections, calls that share one."""
