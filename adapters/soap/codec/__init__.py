"""JSON to envelope and back, by compiled schema. Pure: no I/O, no clock, no random."""
