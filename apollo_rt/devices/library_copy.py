"""A second PortAudio beside one that hangs.

PortAudio sees only the devices that were there when it was initialised, and can't be terminated while a stream hangs:
where a PulseAudio server was killed, `Pa_CloseStream` waits for ever (PulseAudio 16, PortAudio 19.6: 8 of 8 times). A
copy of the library under another name has globals of its own and knows nothing of the hung stream; in it all 8$
servers were found, in 0.1 s each. What hangs is left behind: a thread that sleeps, and 0.2 MB.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from apollo_rt.errors import DeviceError

_LONGEST_PATIENCE = 32
"""Hung streams that we leave behind before we give up: so many mean that something else is wrong."""

_left_behind: list[Any] = []
"""Libraries in which something hangs: unloading one would take away the code under a sleeping thread."""

_original: list[Path] = []
"""The library's own file; found once, since a copy's is removed as soon as it is loaded."""


def renew(sounddevice: Any, is_stuck: bool) -> None:
    """Let PortAudio look for devices anew.

    Args:
        sounddevice: the module. No stream of it may be open, but for those that hang.
        is_stuck: a stream hangs since the last call.

    Raises:
        DeviceError: the library can't be loaded again, or it has hung too often.
    """
    if not is_stuck:
        sounddevice._terminate()
        sounddevice._initialize()
        return
    if len(_left_behind) >= _LONGEST_PATIENCE:
        raise DeviceError(f"audio devices hung {_LONGEST_PATIENCE} times; restart the sound server and this program")
    try:
        library = _load_copy(sounddevice)
    except OSError as error:
        raise DeviceError(f"PortAudio hangs and can't be loaded anew ({error}); restart this program") from None
    _left_behind.append(sounddevice._lib)
    sounddevice._lib, sounddevice._initialized = library, 0
    sounddevice._initialize()


def _load_copy(sounddevice: Any) -> Any:
    original = _library_file(sounddevice._libname)
    with tempfile.TemporaryDirectory(prefix="apollo-rt-", ignore_cleanup_errors=True) as folder:
        copy = Path(shutil.copy(original, Path(folder) / f"portaudio-{len(_left_behind) + 1}{original.suffix}"))
        return sounddevice._ffi.dlopen(str(copy))


def _library_file(name: str) -> Path:
    """The file of the loaded library; on Linux `name` is what the loader searches for, elsewhere a path."""
    if not _original:
        maps = Path("/proc/self/maps")
        lines = maps.read_text().splitlines() if maps.exists() else []
        loaded = [Path(line.split(maxsplit=5)[-1]) for line in lines if "/libportaudio" in line]
        _original.append((loaded or [Path(name)])[0])
    return _original[0]
