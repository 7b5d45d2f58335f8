"""`python -m a2cli` is `a2`."""

from a2cli.main import main

main()
