"""Compiles a shaped record to two generated functions, so that nothing is interpreted per record."""
