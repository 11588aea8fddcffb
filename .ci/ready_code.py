"""Ready code is made for the wheel: `.venv/bin/python .ci/ready_code.py`, then `pip wheel --no-deps .`.

A first start of what was installed from such a wheel compiles nothing, on any processor of the kinds made here. Nothing
in the files depends on the machine that made them; where they don't fit (another system, an older processor, another
version of a library) the first start compiles as it does after a plain installation.
"""

import json
import os
import shutil
import subprocess
import sys
from itertools import chain

from apollo_rt.compiled.kept_code import LEVELS, READY, ready_file
from apollo_rt.live.entry_modules import ENTRY_MODULES

_FFT = {"x86-64-v3": "auto", "x86-64-v2": "generic"}


def main() -> None:
    """Fill the folder anew."""
    shutil.rmtree(READY, ignore_errors=True)
    READY.mkdir()
    for level in LEVELS:
        jobs = [(name, os.fspath(ready_file(name, level))) for name in chain.from_iterable(ENTRY_MODULES)]
        settings = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": "", "ROCKET_FFT_SIMD": _FFT[level]}
        command = [sys.executable, "-m", "apollo_rt.compiled.code_builder", json.dumps(jobs)]
        subprocess.run(command, env=os.environ | settings, check=True)  # noqa: S603  # ours
        size = sum(file.stat().st_size for file in READY.glob(f"*{level}.code"))
        print(f"{level}: {len(jobs)} files, {size} bytes")  # noqa: T201  # a command


if __name__ == "__main__":
    main()
