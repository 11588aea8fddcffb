"""`python -m apollo_rt` is `apollo-rt`."""

import sys
from pathlib import Path

if not sys.flags.safe_path and sys.path[0] != str(Path(__file__).resolve().parents[1]):
    del sys.path[0]  # `-m` put the current folder there, whose files may be anybody's

from apollo_rt.commands.cli import main

main(name="python -m apollo_rt")
