"""Built-in policies, one folder each."""
