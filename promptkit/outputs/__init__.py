"""Typed answers: the schema a model is given, and its text read back as a value."""
