"""Tracing: which training documents an answer came from."""
