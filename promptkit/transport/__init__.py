"""Transports: the one place that does I/O. A call's URL scheme chooses which of them carries it."""
