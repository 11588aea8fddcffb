"""Quality of a step graph, whatever its precision: clips damaged by MP3, through it hop by hop, judged."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray

from apollo_rt.files.music_names import MUSIC_SUFFIXES
from apollo_rt.inference.model import Model
from apollo_rt.stream.stft import analyse, carrier_frames, new_analysis
from benchmarks.rivals.plain import PlainProcessor, step_graph
from export.trials.precision import variants, weighted_products
from export.verify import music_like
from training.data.audio import SAMPLE_RATE, Audio
from training.evaluation.judge import Judge
from training.evaluation.measure import damage, load

PRECISIONS = ("float32", "int8 dynamic", "int8 static QDQ", "fp16")
MEASURES = ("si_sdr_db", "lsd", "visqol")


@dataclass(frozen=True)
class DamagedClip:
    """A clip of the test set after a codec.

    Attributes:
        name: of its file, and the damage.
        clean: before.
        damaged: after.
        cut_hz: where the codec ended the music.

    Shape:
        clean, damaged: (samples, 2)
    """

    name: str
    clean: Audio
    damaged: Audio
    cut_hz: float | None


def clips(data: Path, n_clips: int, seconds: float, kbps: tuple[int, ...]) -> list[DamagedClip]:
    """Clips spread over a folder, each damaged in every way.

    Raises:
        ValueError: there is no music.
    """
    files = [data] if data.is_file() else sorted(path for path in data.rglob("*") if path.suffix in MUSIC_SUFFIXES)
    if not files:
        raise ValueError(f"--data must hold music, {data} holds none")
    chosen = files[:: max(1, len(files) // n_clips)][:n_clips]
    cleans = {path.stem: load(path)[: round(seconds * SAMPLE_RATE)] for path in chosen}
    return [
        DamagedClip(f"{name}, {rate} kbps", clean, *damage(clean, f"mp3-{rate}"))
        for name, clean in cleans.items()
        for rate in kbps
    ]


def graphs_of(model: Model, calibration_frames: int) -> dict[str, bytes]:
    """The tier's step in every precision, by ONNX Runtime's own tools; calibrated on sound that is no test music."""
    own = onnx.load_from_string(step_graph(model))
    if not weighted_products(own):
        return {f"weights of {model.card.weight_bits} bits": step_graph(model)}
    with TemporaryDirectory() as folder:
        made = variants(own, _calibration(model, calibration_frames), Path(folder))
        return {name: graph.SerializeToString() for name, graph in made.items()}


def _calibration(model: Model, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    framing = model.framing
    signal, state = np.ascontiguousarray(music_like(n, framing.hop_length, seed=11).T), new_analysis(framing)
    spectra = np.zeros((n, 2, framing.n_bins), np.complex64)
    for index, spectrum in enumerate(spectra):
        analyse(state, signal[index * framing.hop_length : (index + 1) * framing.hop_length], spectrum)
    both = spectra, carrier_frames(0, n, framing.n_bins)
    spectrum_floats, carrier_floats = (part.view(np.float32).reshape(n, 2, framing.n_bins, 2) for part in both)
    return spectrum_floats, carrier_floats


def restore(model: Model, graph: bytes, damaged: Audio) -> Audio:
    """A clip through a graph, aligned. Shape: (samples, 2) -> the same."""
    processor, hop_length, delay = PlainProcessor(model, graph), model.framing.hop_length, model.framing.hop_delay
    n_hops = -(-(len(damaged) + delay) // hop_length)
    padded = np.zeros((n_hops * hop_length, 2), np.float32)
    padded[: len(damaged)] = damaged
    out = [processor.process(hop) for hop in padded.reshape(n_hops, hop_length, 2)]
    return np.ascontiguousarray(np.concatenate(out)[delay : delay + len(damaged)])


def mean_scores(judge: Judge, restored: list[Audio], wanted: list[DamagedClip]) -> dict[str, float]:
    """Means over the clips."""
    scores = [judge(out, clip.damaged, clip.clean, clip.cut_hz) for out, clip in zip(restored, wanted, strict=True)]
    return {name: round(float(np.mean([getattr(one, name) for one in scores])), 3) for name in MEASURES}
