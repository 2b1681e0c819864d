"""Quiet-STaR as a wrapper around any causal language model: thoughts after the tokens of a text."""
