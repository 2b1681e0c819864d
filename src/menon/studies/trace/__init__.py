"""`menon trace`: from an answer to the training documents that it came from."""
