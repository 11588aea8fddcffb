"""Call times of two devices of a private PulseAudio, on a busy machine: `python -m benchmarks.programs.call_times`.

Writes `tests/data/pulse_calls.npz`, which the tests play again, and says what the steering made of it.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from apollo_rt.compiled.native import array_from_address, now_ns, system_calls
from apollo_rt.devices.device import find_device
from apollo_rt.devices.portaudio import list_devices
from apollo_rt.devices.portaudio_driver import PortAudioDriver
from apollo_rt.live.realtime.callback import stream_callback
from tests.doubles.audio_servers import PulseServer, short_folder
from tests.doubles.recorded_calls import FILE, Recording

_N_CALLS, _CLOCK, _CHANNELS_OUT, _FIRST = range(4)
_MOST_CALLS = 100_000
_BLOCK = 256


def _body(input_address: int, output_address: int, block_size: int, time_info: int, flags: int, userdata: int) -> int:
    """Note the call; play silence."""
    words = array_from_address(userdata, _FIRST + 3 * _MOST_CALLS, np.int64)
    number = words[_N_CALLS]
    if number < _MOST_CALLS:
        place = _FIRST + 3 * number
        words[place] = now_ns(array_from_address(words[_CLOCK], 4, np.int64))
        words[place + 1], words[place + 2] = np.int64(block_size), np.int64(flags)
        words[_N_CALLS] = number + 1
    output = array_from_address(output_address, np.int64(block_size) * words[_CHANNELS_OUT], np.float32)
    for index in range(np.int64(block_size) * words[_CHANNELS_OUT]):
        output[index] = np.float32(0.0)
    return 0


def record(seconds: float, n_busy: int) -> Recording:
    """Capture from a sink of 44.1 kHz, play to one of 48 kHz, beside so many processes that never rest."""
    callback: Any = stream_callback(_body)
    clock = system_calls()
    notes = np.zeros((2, _FIRST + 3 * _MOST_CALLS), np.int64)
    notes[:, _CLOCK] = clock.ctypes.data
    devices = list_devices()
    source, target = find_device(devices, "Monitor of Loopback", "input"), find_device(devices, "speakers", "output")
    drivers = (
        PortAudioDriver(source, None, 44_100, _BLOCK),
        PortAudioDriver(None, target, 48_000, _BLOCK, captured_beside=source),
    )
    notes[1, _CHANNELS_OUT] = 2
    for driver, words in zip(drivers, notes, strict=True):
        driver.start(callback.address, words.ctypes.data)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_busy)]
    try:
        time.sleep(seconds)
    finally:
        for process in others:
            process.kill()
            process.wait()
        for driver in drivers:
            driver.stop()
    calls = [words[_FIRST : _FIRST + 3 * words[_N_CALLS]].reshape(-1, 3) for words in notes]
    return Recording(calls[0], calls[1], (44_100, 48_000))


@click.command()
@click.option("--seconds", type=float, default=40.0, show_default=True)
@click.option("--busy", type=int, default=4, show_default=True, help="Processes that never rest.")
@click.option("--out", type=click.Path(path_type=Path), default=FILE, show_default=True)
def main(seconds: float, busy: int, out: Path) -> None:
    """Record, and play it to the clock bridge."""
    with short_folder() as folder:
        server = PulseServer(folder, "rate=48000 format=float32le")
        # Without an ALSA configuration the server's own ends are seen, with the rates that they really have.
        os.environ.update({**server.environment, "ALSA_CONFIG_PATH": ""})
        with server.started():
            recording = record(seconds, busy)
    recording.save(out)
    print(recording.replay(target=64 + 4 * _BLOCK))


if __name__ == "__main__":
    main()
