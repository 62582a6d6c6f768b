"""``python -m runner`` is ``rawat``."""

from runner.cli import main

main()
