"""What policies and adapters may import: the exchange, messages, problems, errors and the shapes of plugins."""
