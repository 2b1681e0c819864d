"""Code in pre-training at toy scale: the same number of tokens, other documents."""
