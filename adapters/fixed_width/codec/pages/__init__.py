"""Tables of mixed double-byte pages, made by `make_tables`."""
