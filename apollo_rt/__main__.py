"""`python -m apollo_rt` is `apollo-rt`."""

from apollo_rt.cli import main

main(name="python -m apollo_rt")
