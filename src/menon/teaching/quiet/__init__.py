"""Quiet-STaR: teach a model to think before every token (arXiv:2403.09629)."""
