"""Jinja for prompts: front matter, message tags, one sandboxed environment."""
