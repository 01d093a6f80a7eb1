"""Upstreams that are folders: calls become files in them, and files come back as answers."""
