"""A corpus whose truth is known: every document carries what it teaches."""
