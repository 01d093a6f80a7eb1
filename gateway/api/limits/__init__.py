"""What all limits share: amounts, atomic operations on them, where they are kept, and how callers are told. Knows no policy."""
