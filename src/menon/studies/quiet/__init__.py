"""Quiet-STaR on tasks small enough to repeat: what thinking before a token gains, and against which controls."""
