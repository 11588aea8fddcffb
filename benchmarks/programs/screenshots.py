"""Screenshots of the live screen for the docs: `python -m benchmarks.programs.screenshots docs`.

The demo plays through the engine with the model that ships, in real time, while Textual draws the screen without a
terminal; each picture is written as SVG and, drawn by CairoSVG in DejaVu Sans Mono, as PNG.
"""

import argparse
import asyncio
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apollo_rt.files.audio_reader import AudioReader, Samples
from apollo_rt.inference.model import Model, load
from apollo_rt.live.endpoints.file_feed import Nowhere
from apollo_rt.live.endpoints.virtual_device import VirtualDevice
from apollo_rt.live.engine import Engine
from apollo_rt.live.engine_settings import EngineSettings
from apollo_rt.screen.monitor import Monitor
from apollo_rt.session.model_picker import ModelPicker
from apollo_rt.session.named_files import DEMO_FILE
from apollo_rt.session.running_session import LiveSession, SessionInfo

_FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"


@dataclass(frozen=True)
class Picture:
    """One to be taken.

    Attributes:
        name: of the files.
        columns: of the terminal.
        lines: of the terminal.
        keys: pressed before.
    """

    name: str
    columns: int = 100
    lines: int = 32
    keys: tuple[str, ...] = ()


PICTURES = (
    Picture("screen"),
    Picture("screen-80x24", 80, 24),
    Picture("screen-large", 160, 48),
    Picture("screen-light", keys=("t",)),
    Picture("screen-delta", keys=("d", "down", "down")),
    Picture("screen-presets", keys=("p",)),
    Picture("screen-devices", keys=("o",)),
    Picture("screen-models", keys=("n",)),
    Picture("screen-help", lines=50, keys=("question_mark",)),
)


class _ExampleDevices:
    """Stands for the devices of a machine, as no picture can count on any."""

    def describe(self) -> dict[str, Any]:
        """Reply of the command `devices`."""
        inputs, outputs = ("Loopback", "USB microphone"), ("speakers", "headphones", "HDMI")
        lists = {"inputs": inputs, "outputs": outputs}
        return {
            end: [{"number": 0, "name": f"{name} (ALSA)", "is_used": name == names[0]} for name in names]
            for end, names in lists.items()
        }

    def choose(self, source: str | None, target: str | None) -> None:
        """Nothing is pressed that asks for it."""


class _Again:
    """A source that begins again when it is over.

    Args:
        samples: (samples, 2).
    """

    def __init__(self, samples: Samples) -> None:
        self._samples, self._position = samples, 0

    def read(self, n_samples: int) -> Samples:
        places = np.arange(self._position, self._position + n_samples) % len(self._samples)
        self._position += n_samples
        return self._samples[places]


def take_all(model: Model, folder: Path, seconds: float, pictures: Sequence[Picture] = PICTURES) -> list[Path]:
    """Take pictures of a run.

    Args:
        model: that restores.
        folder: where they go; exists.
        seconds: of music before each, for meters and tails to have something to show.
        pictures: which.

    Returns:
        The files.
    """
    rate = model.framing.sample_rate
    with AudioReader(DEMO_FILE, rate) as reader:
        demo = reader.read(30 * rate)
    engine = Engine(model, VirtualDevice(rate), EngineSettings(), _Again(demo), Nowhere())
    models = ModelPicker(engine, model, "cpu", None, print)
    files: list[Path] = []
    with engine:
        for picture in pictures:
            session = LiveSession(engine, SessionInfo("Loopback", "speakers", model.card.name, False))
            session.controls.devices_face, session.controls.models_face = _ExampleDevices(), models
            files += _write(asyncio.run(_take(session, picture, seconds)), folder / picture.name)
            session.commands.run("reset")
    return files


async def _take(session: LiveSession, picture: Picture, seconds: float) -> str:
    app = Monitor(session)
    async with app.run_test(size=(picture.columns, picture.lines)) as pilot:
        await pilot.press(*picture.keys)
        await pilot.pause(seconds)
        return app.export_screenshot()


def _write(svg: str, path: Path) -> list[Path]:
    import cairosvg  # late: only this command needs it

    # Nobody's font is fetched from elsewhere; what is at hand fits, as every text's length is in the picture.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", _FONT)
    files = [path.with_suffix(".svg"), path.with_suffix(".png")]
    files[0].write_text(svg)
    cairosvg.svg2png(bytestring=svg.replace(_FONT, "DejaVu Sans Mono").encode(), write_to=str(files[1]))
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0, help="of music before each picture")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as presets:  # not the user's own
        os.environ["XDG_CONFIG_HOME"] = presets
        for file in take_all(load(None), options.folder, options.seconds):
            print(file)


if __name__ == "__main__":
    main()
