"""`python -m apollo_rt` is `apollo-rt`."""

from apollo_rt.app.cli import main

main(name="python -m apollo_rt")
