"""`python run_live.py` is `apollo-rt live`."""

import sys

from apollo_rt.commands.cli import main

if __name__ == "__main__":
    main(["live", *sys.argv[1:]])
