"""`python -m training picture`: spectrograms of damaged, restored and clean music, one under the other."""

from pathlib import Path

import click
import numpy as np

from training.data.degrade import SAMPLE_RATE, Audio, decode, resample

_RANGE_DB = (-110, -20)


def load(path: Path) -> Audio:
    """Any audio file at 44.1 kHz. Shape: (samples, channels)."""
    return resample(*decode(str(path)), SAMPLE_RATE)


@click.command("picture")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--title", "titles", multiple=True, help="A title for each file, in order; its name if left out.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG to write.")
def command(files: tuple[Path, ...], titles: tuple[str, ...], out: Path) -> None:
    """Draw the spectrograms of files, all with the same scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(files), 1, figsize=(9, 2.6 * len(files)), sharex=True, squeeze=False)
    for index, (axis, file) in enumerate(zip(axes[:, 0], files, strict=True)):
        mono = load(file).mean(1)
        axis.specgram(
            mono, 2048, SAMPLE_RATE, noverlap=1536, window=np.hanning(2048), scale="dB", cmap="magma",
            vmin=_RANGE_DB[0], vmax=_RANGE_DB[1],
        )  # fmt: skip
        axis.set_title(titles[index] if index < len(titles) else file.name, fontsize=9, loc="left")
        axis.set_yticks([0, 5000, 10_000, 15_000, 20_000], ["0", "5", "10", "15", "20 kHz"])
    axes[-1, 0].set_xlabel("s")
    figure.tight_layout()
    figure.savefig(out, dpi=90)
