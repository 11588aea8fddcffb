"""Xiph's own tools: what they decode is what a stream in Ogg holds."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apollo_rt.network.stream import NetworkStream


def need_tools() -> None:
    """Skip the test without them; where they have to be there, fail it."""
    for program in ("oggenc", "oggdec", "opusenc", "opusdec"):
        if not shutil.which(program):
            assert not os.environ.get("CI"), f"{program} is missing"
            pytest.skip(f"needs {program}")


def decoded(path: Path, kind: str) -> np.ndarray:
    """All links of a file of one layout, by `oggdec` (in 16 bits) or `opusdec`; in stereo."""
    target = path.with_suffix(".decoded.wav")
    if kind == "vorbis":
        command = ["oggdec", "-Q", "-o", target, path]
    else:
        command = ["opusdec", "--quiet", "--float", "--rate", "48000", path, target]
    subprocess.run(command, check=True, capture_output=True)
    samples = soundfile.read(target, dtype="float32", always_2d=True)[0]
    return samples if samples.shape[1] == 2 else np.repeat(samples, 2, axis=1)


def taken_down(url: str, path: Path, n_bytes: int) -> Path:
    """So much of what a station sends, up to the end of a page."""
    stream, data = NetworkStream(url), b""
    try:
        while len(data) < n_bytes:
            part = stream.read(65_536)
            assert part, "the station ended it"
            data += part
    finally:
        stream.close()
    path.write_bytes(data[: data.rfind(b"OggS")])
    return path
