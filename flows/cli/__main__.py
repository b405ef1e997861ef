"""`python -m flows.cli`, the same as `ganime`."""

from flows.cli import main

main()
