"""Runs a module of this package in a child process: `python -P child_start.py MODULE ARGUMENTS`, see `child_process`.

The package is the very one that the parent runs, wherever that lies, and `sys.path` gets nothing for its sake: neither
the current folder, whose files may be anybody's, nor the package's own.
"""

import importlib.util
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Be the module."""
    folder = Path(__file__).resolve().parents[1]
    name = folder.name
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec
    assert spec.loader
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
