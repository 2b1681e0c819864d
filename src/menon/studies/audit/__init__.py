"""The audit of one model as a study: what is asked, in which order, and the report that comes of it."""
