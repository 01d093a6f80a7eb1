"""State in Redis, shared by all processes that name it. docs/stores.md says what is promised."""
