"""Providers: pure codecs between a `Request` and the bytes of one kind of API."""
