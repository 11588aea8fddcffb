"""`python -m training evaluate`: what a model file does to music it never saw, through the engine that ships.

Every clip is damaged, restored by `ApolloEffect` (the streaming processor, hop by hop) and measured beside the
untouched input. What ships is what is measured.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch

from apollo_rt.effects.pedalboard_effect import ApolloEffect
from training.data.degrade import SAMPLE_RATE, Audio, Damage, decode, degrade, resample
from training.evaluation.metrics import log_spectral_distance, si_sdr_db

_VISQOL_RATE = 48_000


@dataclass(frozen=True)
class Scores:
    """One signal against the clean one.

    Attributes:
        lsd: log-spectral distance in decades, lower is better (`metrics.log_spectral_distance`).
        visqol: ViSQOL in audio mode, mono mix at 48 kHz, 1 to 5.
        si_sdr_db: scale-invariant signal-to-distortion ratio.
    """

    lsd: float
    visqol: float
    si_sdr_db: float


class Judge:
    """Measures signals; ViSQOL is loaded once."""

    def __init__(self) -> None:
        """Load ViSQOL's audio mode."""
        from visqol import VisqolApi

        self._visqol = VisqolApi()
        self._visqol.create(mode="audio")

    def __call__(self, audio: Audio, clean: Audio) -> Scores:
        """Compare.

        Shape:
            (samples, 2), the same
        """
        ours, wanted = (torch.from_numpy(np.ascontiguousarray(side.T)) for side in (audio, clean))
        mono = [resample(side.mean(1, keepdims=True), SAMPLE_RATE, _VISQOL_RATE)[:, 0] for side in (clean, audio)]
        similarity = self._visqol.measure_from_arrays(*(side.astype(np.float64) for side in mono), _VISQOL_RATE)
        return Scores(log_spectral_distance(ours, wanted), float(similarity.moslqo), si_sdr_db(ours, wanted))


def evaluate(model: Path | None, clips: list[Path], bitrates_kbps: list[int]) -> Iterator[dict[str, float | str]]:
    """Measure every clip at every bit rate of MP3; 0 stands for the clean clip itself.

    Yields:
        one row a clip and bit rate: names and the scores of `input` and `restored`.
    """
    effect, judge = ApolloEffect(model=model), Judge()
    for path in clips:
        clean = resample(*decode(str(path)), SAMPLE_RATE)
        for kbps in bitrates_kbps:
            damaged = degrade(clean, Damage("mp3", kbps * 1000)) if kbps else clean
            restored = effect(np.ascontiguousarray(damaged.T), SAMPLE_RATE).T
            change = restored - damaged
            row: dict[str, float | str] = {"clip": path.stem, "kbps": kbps}
            row["change_db"] = float(10 * np.log10((change**2).sum() / (damaged**2).sum() + 1e-20))
            for name, audio in (("input", damaged), ("restored", restored)):
                row |= {f"{name}_{key}": value for key, value in asdict(judge(audio, clean)).items()}
            yield row


def summarise(rows: list[dict[str, float | str]]) -> dict[str, dict[str, float]]:
    """Means over clips: first for each bit rate, then over all damaged rows as `all`, then for undamaged ones."""
    groups = {f"{kbps} kbps": [kbps] for kbps in sorted({int(row["kbps"]) for row in rows} - {0})}
    groups |= {"all": [kbps for (kbps,) in groups.values()], "undamaged": [0]}
    keys = [key for key in rows[0] if key not in ("clip", "kbps")]
    summary = {}
    for name, members in groups.items():
        group = [row for row in rows if row["kbps"] in members]
        if group:
            summary[name] = {key: float(np.mean([float(row[key]) for row in group])) for key in keys}
    return summary


def table(summary: dict[str, dict[str, float]]) -> str:
    """A Markdown table: untouched input, then restored."""
    lines = [
        "| MP3 | LSD | ViSQOL | SI-SDR, dB |",
        "|---|---|---|---|",
    ]
    for name, row in summary.items():
        if name == "undamaged":
            continue
        cells = (f"{row[f'input_{key}']:.2f} -> {row[f'restored_{key}']:.2f}" for key in ("lsd", "visqol", "si_sdr_db"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if row := summary.get("undamaged"):
        scores = f"{row['restored_lsd']:.2f} | {row['restored_visqol']:.2f}"
        lines.append(f"| undamaged | {scores} | changed by {row['change_db']:.1f} dB |")
    return "\n".join(lines)


@click.command("evaluate")
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True), help="An ONNX model file; the bundled one if left out."
)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of clean music.")
@click.option("--kbps", default="24,32,48,64", show_default=True, help="MP3 bit rates; 0 is the undamaged clip.")
@click.option("--limit", type=click.IntRange(1), help="So many clips, spread over the folder.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write means and rows here.")
def command(model: Path | None, data: Path, kbps: str, limit: int | None, json_file: Path | None) -> None:
    """Measure a model on clean music that it never saw, beside the untouched MP3."""
    clips = sorted(path for path in data.rglob("*") if path.suffix.lower() in (".wav", ".flac"))
    if not clips:
        raise click.ClickException(f"--data must hold .wav or .flac files, {data} holds none")
    clips = clips[:: max(1, len(clips) // limit)][:limit] if limit else clips
    rows = []
    with click.progressbar(
        evaluate(model, clips, [int(rate) for rate in kbps.split(",")]), length=len(clips) * len(kbps.split(","))
    ) as progress:
        rows = list(progress)
    summary = summarise(rows)
    if json_file:
        json_file.write_text(json.dumps({"clips": len(clips), "summary": summary, "rows": rows}, indent=1) + "\n")
    click.echo(f"{len(clips)} clips, means; untouched MP3 -> restored")
    click.echo(table(summary))
