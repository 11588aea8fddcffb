#!/bin/sh
# PulseAudio 16.1: `pactl --format=json` prints the text "(null)" for every description that is not ASCII, under every
# locale, while its plain list has the name. Who lists devices by JSON shows "(null)" and can't find them.
#
# Needs Debian 12 (amd64); unpacks the packages below into a temporary folder, of which their own dependencies are
# taken from the system (apt-get install pulseaudio). Ends with 0 while that is so, with 1 once it is otherwise.
set -eu
VERSION=16.1+dfsg1-2+b1
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
server=
cd "$folder"
apt-get download -q "pulseaudio=$VERSION" "pulseaudio-utils=$VERSION" "libpulse0=$VERSION" >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
libraries=$folder/root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH="$libraries:$libraries/pulseaudio"
export PATH="$folder/root/usr/bin:$PATH" HOME="$folder" XDG_RUNTIME_DIR="$folder"
export PULSE_RUNTIME_PATH="$folder" PULSE_SERVER="unix:$folder/native"
pactl --version | head -1

pulseaudio -n --dl-search-path="$folder/root/usr/lib/pulse-16.1+dfsg1/modules" \
    --exit-idle-time=-1 --use-pid-file=no --daemonize=no \
    -L "module-native-protocol-unix auth-anonymous=1 socket=$folder/native" \
    -L "module-null-sink sink_name=geraet sink_properties=device.description=Gérät" 2>"$folder/log" &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    pactl info >/dev/null 2>&1 && break
    sleep 0.5
done

for locale in C C.UTF-8; do
    plain=$(LC_ALL=$locale pactl list sinks | sed -n 's/^\tDescription: //p')
    json=$(LC_ALL=$locale pactl --format=json list sinks | sed 's/.*"description":"\([^"]*\)".*/\1/')
    echo "LC_ALL=$locale: plain list '$plain', JSON '$json'"
    [ "$plain" = "Gérät" ] && [ "$json" = "(null)" ] || { echo "it is otherwise now"; exit 1; }
done
