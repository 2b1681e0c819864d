"""The torch side: loading and saving models, the embedded base and its tokenizer."""
