"""`python -m a2cli` is `a2`."""

from a2cli.cli import main

main()
