"""Has the compiled code made that most tests run: `python -m tests.doubles.warm_up`.

Processes side by side would each make it, and Numba lets the later of two that keep code at once drop the other's.
"""

import tempfile
from pathlib import Path

from apollo_rt import ApolloEffect
from apollo_rt.inference.model import load
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from tests.doubles import tiny_models
from tests.doubles.memory_files import MemoryReader, MemoryWriter
from tests.doubles.sounds import RATE, noise, planar_noise


def main() -> None:
    """A second of noise through the engine, and through an effect at another sample rate."""
    with tempfile.TemporaryDirectory() as folder:
        model = load(tiny_models.busy(Path(folder), tiny_models.MEDIUM))
        device = VirtualDevice(RATE, 256, pace=False)
        with Engine(model, device, EngineSettings(), MemoryReader(noise(RATE)), MemoryWriter()) as engine:
            engine.wait(600)
        ApolloEffect(model=model)(planar_noise(RATE), 48_000)


if __name__ == "__main__":
    main()
