"""`python -m training evaluation-set`: makes the folder that `evaluate` measures, of real music and by package name."""

from collections import Counter
from pathlib import Path

import click
import numpy as np
import soundfile

from training.corpus import excerpts
from training.data import layouts
from training.data.audio import SAMPLE_RATE, Audio, load
from training.evaluation import sounds
from training.evaluation.probes import probes
from training.evaluation.undamaged import clips


@click.command("evaluation-set")
@click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of clips.")
@click.option(
    "--packages", "work", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for Debian packages, such as OPEN/open of the open corpus. [OUT/.packages]",
)  # fmt: skip
def command(sources: tuple[Path, ...], out: Path, work: Path | None) -> None:
    """Make an evaluation set: music, what must be left as it is, and stereo probes.

    Cuts ten seconds of each validation recording of SOURCE, collections in any layout that `prepare` knows, into OUT;
    makes of them and of sounds that it fetches by package name OUT/undamaged and OUT/probes. What is there already is
    left as it is, but for the probes and undamaged clips, which are the same whenever they are made.
    """
    try:
        found = [one for source in sources for one in layouts.find(source)]
        music = excerpts.write_valid(found, out)
        if len(music) < 2:
            raise ValueError(f"{', '.join(map(str, sources))}: fewer than two validation recordings of 5 s")
        made, missing = sounds.by_kind(work or out / ".packages")
        write(out, [load(file) for file in music], made)
    except (ValueError, OSError, soundfile.SoundFileError) as error:
        raise click.ClickException(str(error)) from error
    for name, reason in missing.items():
        click.echo(f"left out: {name}: {reason}")
    click.echo(
        f"{out}: {len(music)} excerpts; {_count(out / 'undamaged')} undamaged clips, {_count(out / 'probes')} probes"
    )


def write(out: Path, music: list[Audio], made: dict[str, Audio]) -> None:
    """Writes undamaged clips and probes, each named by its kind and a number."""
    numbers: Counter[str] = Counter()
    for kind, clip in clips(music, made):
        numbers[kind] += 1
        _write(out / "undamaged" / f"{kind}__{numbers[kind]}.flac", clip)
    for kind, clip in probes(music[0], music[-1]).items():
        _write(out / "probes" / f"{kind}__1.flac", clip)


def _write(path: Path, clip: Audio) -> None:
    """With 24 bits, so that what is quiet isn't rounded once more; 16-bit clips stay what they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, clip / np.float32(max(1.0, float(np.abs(clip).max()))), SAMPLE_RATE, "PCM_24")


def _count(folder: Path) -> int:
    return len(list(folder.glob("*.flac")))
