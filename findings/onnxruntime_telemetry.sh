#!/usr/bin/env bash
# ONNX Runtime's Linux wheels: whether making an environment leaves an identifier and a thread, by version and environment.
# Expected and seen: 1.28.0 leaves nothing. 1.31.1 leaves files in the cache folder and one more thread, unless
# ORT_DISABLE_TELEMETRY=1 or CI=1 is in the environment before the library is loaded; set afterwards it is too late, and
# so is DisableTelemetryEvents (onnxruntime.disable_telemetry_events).
# Each process has no network of its own (unshare), so that nothing is sent. Ends with 0 if all is as seen, 1 if not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
isolated=(unshare --net)
"${isolated[@]}" true 2>/dev/null || isolated=(unshare --map-root-user --net)
"${isolated[@]}" true || { echo "needs unshare: nothing is run with a network" >&2; exit 2; }

cat >"$work/look.py" <<'PY'
import os
import sys
from pathlib import Path

import numpy  # its own threads are counted before

before = len(os.listdir("/proc/self/task"))
import onnxruntime

if "afterwards" in sys.argv:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    onnxruntime.disable_telemetry_events()
threads = len(os.listdir("/proc/self/task")) - before
files = sorted(path.name for path in Path(os.environ["HOME"]).rglob("*") if path.is_file())
print(f"threads +{threads}, files: {', '.join(name for name in files if not name.endswith(('-shm', '-wal'))) or 'none'}")
PY

fault=0
look() {  # version, what is expected, environment ..., -- arguments
    local version=$1 expected=$2 home seen variables=()
    shift 2
    while [ "$1" != -- ]; do variables+=("$1"); shift; done
    shift
    home=$(mktemp -d -p "$work")
    seen=$(env -i PATH="$PATH" HOME="$home" ${variables[@]+"${variables[@]}"} \
        "${isolated[@]}" "$work/$version/bin/python" "$work/look.py" "$@" 2>/dev/null)
    echo "$version ${variables[*]:-(plain)} $*: $seen"
    [ "$seen" = "$expected" ] || { echo "  expected: $expected"; fault=1; }
}

for version in 1.28.0 1.31.1; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install -q --disable-pip-version-check "onnxruntime==$version" numpy==2.4.6 2>/dev/null
done
nothing="threads +0, files: none"
reports="threads +1, files: deviceid, onnxruntime.db"
look 1.28.0 "$nothing" --
look 1.31.1 "$reports" --
look 1.31.1 "$reports" -- afterwards
look 1.31.1 "$nothing" ORT_DISABLE_TELEMETRY=1 --
look 1.31.1 "$nothing" CI=1 --
exit $fault
