"""Models that are trained here, from nothing, on documents whose truth is known."""
