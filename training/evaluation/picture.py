"""`python -m training picture`: spectrograms of damaged, restored and clean music, one under the other."""

from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.data.audio import SAMPLE_RATE, Audio, resample
from training.data.encoders import decode

_RANGE_DB = (-110, -20)


def load(path: Path) -> Audio:
    """Any audio file at 44.1 kHz. Shape: (samples, channels)."""
    return resample(*decode(str(path)), SAMPLE_RATE)


def spectrograms(clips: Mapping[str, npt.NDArray[np.float32]]) -> Figure:
    """Draw clips by title, one under the other, all with the same scales; needs no screen.

    Shape:
        clips: (samples,) at 44.1 kHz
    """
    figure = Figure(figsize=(9, 2.6 * len(clips)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(clips), 1, sharex=True, squeeze=False)
    for axis, (title, clip) in zip(axes[:, 0], clips.items(), strict=True):
        with np.errstate(divide="ignore"):  # silence is drawn as the darkest colour, whatever its logarithm
            axis.specgram(
                clip, NFFT=2048, Fs=SAMPLE_RATE, noverlap=1536, window=np.hanning(2048), scale="dB", cmap="magma",
                vmin=_RANGE_DB[0], vmax=_RANGE_DB[1],
            )  # fmt: skip
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_yticks([0, 5000, 10_000, 15_000, 20_000], ["0", "5", "10", "15", "20 kHz"])
    axes[-1, 0].set_xlabel("s")
    figure.tight_layout()
    return figure


@click.command("picture")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--title", "titles", multiple=True, help="A title for each file, in order; its name if left out.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG to write.")
def command(files: tuple[Path, ...], titles: tuple[str, ...], out: Path) -> None:
    """Draw the spectrograms of files, all with the same scales."""
    names = [*titles, *(file.name for file in files[len(titles) :])]
    if len(set(names)) < len(files):
        names = [f"{index}: {name}" for index, name in enumerate(names, 1)]
    clips = {name: load(file).mean(1) for name, file in zip(names, files, strict=False)}
    spectrograms(clips).savefig(out, dpi=90)
