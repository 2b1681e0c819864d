"""Analogies over letters, symbols and digits, and alterations of stories about what people know."""
