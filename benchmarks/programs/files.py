"""`python -m benchmarks.programs.files`: how fast files are restored, in batches and by hops, beside the core's peak.

Time is that of the processor, not of the wall, so that what else runs on the machine counts less; taken in turns.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy comes: the peak of one core is wanted

import time

import click
import numpy as np

from apollo_rt.inference.model import load
from apollo_rt.stream.batch_stream import BatchStream, open_batch_stream
from apollo_rt.stream.restoration_stream import RestorationStream
from apollo_rt.stream.stft import Samples
from export.trials.timing import product_flops, sgemm_peak_gflops

_TOLERANCE_DB = {32: -80.0, 8: -30.0}
"""By bits of the weights: products of 8 bits round what goes into them, in batches otherwise than hop by hop."""


def cpu_s(stream: RestorationStream | BatchStream, samples: Samples) -> tuple[float, Samples]:
    """Processor time for some samples, and what came out."""
    begin_s = time.process_time()
    out = stream.process(samples)
    return time.process_time() - begin_s, out


@click.command()
@click.option(
    "--seconds",
    default=0.5,
    show_default=True,
    help="Music in each round; the best of short ones is that of a free core.",
)
@click.option("--rounds", default=40, show_default=True)
def main(seconds: float, rounds: int) -> None:
    """Print one table; fails if batches and hops differ."""
    import onnx

    model = load()
    rate = model.framing.sample_rate
    hops, batches = RestorationStream(model), open_batch_stream(model)
    if batches is None:
        raise click.ClickException("the bundled model has no batch graph")
    graph = model.card.graph_of(model.tier, batch=True)
    assert graph is not None
    frame_flops = product_flops(onnx.load_from_string(model.file.graph(graph))) / graph.n_frames
    random = np.random.default_rng(0)
    times: dict[str, list[float]] = {"hop by hop": [], "in batches": []}
    peaks, late = [], batches.latency_samples - hops.latency_samples
    for _ in range(rounds):
        music = (0.1 * random.standard_normal((int(seconds * rate), 2))).astype(np.float32)
        spent_s, one_by_one = cpu_s(hops, music)
        times["hop by hop"].append(spent_s)
        spent_s, together = cpu_s(batches, music)
        times["in batches"].append(spent_s)
        difference = np.abs(together[late:] - one_by_one[: len(one_by_one) - late]).max()
        if difference > 10 ** (_TOLERANCE_DB[model.card.weight_bits] / 20) * np.abs(one_by_one).max():
            raise click.ClickException("batches and hops differ")
        peaks.append(sgemm_peak_gflops())
    click.echo("| one core, stereo | times real time | GFLOPS in products | of numpy's sgemm, % |\n|---|---|---|---|")
    for name, spent in times.items():
        ratio = seconds / min(spent)
        gflops = frame_flops * ratio * rate / model.framing.hop_length / 1e9
        click.echo(f"| {name} | {ratio:.1f} | {gflops:.1f} | {100 * gflops / max(peaks):.0f} |")
    limit = max(peaks) * 1e9 / frame_flops * model.framing.hop_length / rate
    click.echo(
        f"\nBatches are {min(times['hop by hop']) / min(times['in batches']):.2f} times as fast. sgemm reaches "
        f"{max(peaks):.0f} GFLOPS; a frame has {frame_flops / 1e6:.1f} million operations in products, "
        f"so that nothing in float32 on this core can be faster than {limit:.0f} times real time."
    )


if __name__ == "__main__":
    main()
