"""Built-in adapters, one folder each."""
