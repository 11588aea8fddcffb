#!/bin/sh
# pulsectl 24.12.0: `sample_spec` of what `sink_list` and its like return lies in libpulse's own memory, which is freed
# when the list is complete. Read afterwards its rate is now and then another number; who opens a stream at it fails.
#
# Needs Debian 12 with pulseaudio (16.1) and python3-venv. Ends with 0 while that is so, with 1 once it is otherwise.
set -eu
folder=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pulsectl==24.12.0
export HOME="$folder" XDG_RUNTIME_DIR="$folder" PULSE_RUNTIME_PATH="$folder" PULSE_SERVER="unix:$folder/native"
pulseaudio -n --exit-idle-time=-1 --use-pid-file=no --daemonize=no \
    -L "module-native-protocol-unix auth-anonymous=1 socket=$folder/native" \
    -L "module-null-sink sink_name=one rate=44100" 2>/dev/null &
server=$!
until [ -S "$folder/native" ]; do sleep 0.1; done
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import pulsectl

with pulsectl.Pulse("finding") as pulse:
    rates = []
    for _ in range(3000):
        sinks = pulse.sink_list()
        pulse.source_list(), pulse.client_list()
        rates.append(sinks[0].sample_spec.rate)
wrong = [rate for rate in rates if rate != 44100]
print(f"{len(wrong)} of {len(rates)} rates are not the sink's 44100: {wrong[:5]}")
sys.exit(0 if wrong else 1)
PYTHON
