"""``python -m promptkit``."""

from promptkit.cli import main

main()
