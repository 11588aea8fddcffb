"""Two clocks and the resampler between them, measured: `python -m benchmarks.programs.clock_bridge`.

Prints what becomes of an hour of virtual time per pair of clocks; draws the response of the resampler for the docs.
"""

import time
from pathlib import Path

import click
import matplotlib as mpl
import numpy as np

from tests.doubles.resampling import convert, fit, level_db, tone
from tests.doubles.virtual_clocks import Clock, run

TARGET = 64 + 256 + 256
"""Samples held back: half the filter, the block that is being captured, and one for unevenness."""

PAIRS = {
    "equal": (Clock(), Clock()),
    "+50 ppm": (Clock(ppm=50), Clock()),
    "-50 ppm": (Clock(ppm=-50), Clock()),
    "+200 ppm": (Clock(ppm=200), Clock()),
    "-200 ppm": (Clock(ppm=-200), Clock()),
    "wandering by 20 ppm in 10 min": (Clock(ppm=20, wander_ppm=20), Clock(ppm=-30)),
    "+200 ppm, 44.1 to 48 kHz": (Clock(ppm=200), Clock(rate=48_000)),
    "+100 ppm, each up to 2 ms late": (Clock(ppm=100, late_s=0.002), Clock(late_s=0.002)),
}
RATES = ((44_100, 48_000), (48_000, 44_100), (44_100, 44_100))
_LENGTH, _SETTLED = 12_000, slice(2000, -2000)


@click.command()
@click.option("--minutes", type=float, default=60.0, show_default=True, help="Of virtual time for each pair.")
@click.option("--plot", type=click.Path(path_type=Path), default=Path("docs/resampler.png"), show_default=True)
def main(minutes: float, plot: Path) -> None:
    """Measure both."""
    draw(plot)
    print(f"wrote {plot}")
    print(f"{minutes:g} virtual minutes each; errors in sample periods from 15 s on")
    print(f"{'clocks':<32}{'locked s':>9}{'error':>8}{'xruns':>7}{'jumps':>7}{'bend':>9}{'ppm':>16}{'wall s':>8}")
    for name, (capture, playback) in PAIRS.items():
        begin_s = time.perf_counter()
        outcome = run(capture, playback, 60.0 * minutes, TARGET)
        wall_s, (least, most) = time.perf_counter() - begin_s, outcome.corrections_ppm
        print(
            f"{name:<32}{outcome.lock_s:>9.1f}{outcome.worst_error:>8.2f}{outcome.flagged:>7}{outcome.resyncs:>7}"
            f"{outcome.roughness:>9.5f}{f'{least:.1f} to {most:.1f}':>16}{wall_s:>8.1f}"
        )


def draw(path: Path) -> None:
    """Level of a sine after conversion, and of all that is not the sine, by frequency."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (passed, added) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for rates in RATES:
        frequencies = np.append(np.geomspace(20, 15_000, 30), np.arange(16_000, rates[0] / 2, 250))
        ppm = 100.0 if rates[0] == rates[1] else 0.0
        tones = [(f, convert(tone(f, rates[0], _LENGTH), rates, ppm=ppm)[_SETTLED]) for f in frequencies]
        kept = frequencies < min(rates) / 2
        fits = [fit(out, f * (1 + ppm * 1e-6), rates[1]) if is_kept else (0.0, level_db(out[:, 0]))
                for (f, out), is_kept in zip(tones, kept, strict=True)]  # fmt: skip
        levels, rest = np.array(fits).T
        name = f"{rates[0] / 1e3:g} to {rates[1] / 1e3:g} kHz" + (f", {ppm:+g} ppm" if ppm else "")
        passed.plot(frequencies[kept] / 1e3, levels[kept], label=name)
        added.plot(frequencies / 1e3, rest, label=name)
        low = frequencies <= 18_000
        print(f"{name}: level up to 18 kHz within {np.abs(levels[low]).max():.4f} dB, what is added at most "
              f"{max(rest):.1f} dB")  # fmt: skip
    passed.set(title="level of a sine", xlabel="kHz", ylabel="dB", ylim=(-1.0, 0.2), xlim=(0, 24))
    added.set(title="images, aliases and noise beside it", xlabel="kHz", ylabel="dB", ylim=(-160, -80), xlim=(0, 24))
    added.axhline(-90, color="grey", linestyle=":")
    for axes in (passed, added):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
