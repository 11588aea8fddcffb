"""`python -m benchmarks.programs.published_speed`: the published Apollo in PyTorch, and as a model file.

Each round is a process of its own, in turns, with one thread: its processor time, and the most memory that it had (so
PyTorch and the exporter are imported late).
Random weights cost what trained ones do.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy comes: the peak of one core is wanted

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from apollo_rt.inference.model import load
from apollo_rt.stream.batch_stream import open_batch_stream

_ROLES = ("PyTorch, whole file", "model file")
_MOST_ERROR_DB = -100.0
_KIB = 1024


@click.command()
@click.option("--width", default=256, show_default=True)
@click.option("--layers", default=6, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="Length of the file, stereo.")
@click.option("--rounds", default=1, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Of a round's own process.", hidden=True)
@click.option("--role", type=click.Choice(_ROLES), hidden=True)
def main(width: int, layers: int, seconds: float, rounds: int, folder: Path | None, role: str | None) -> None:
    """Print one table; fails if both differ."""
    if folder and role:
        _measure(folder, role)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gigaflops = _prepare(folder, width, layers, seconds)
        found: dict[str, list[dict[str, float]]] = {each: [] for each in _ROLES}
        for _ in range(rounds):
            for each in _ROLES:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.programs.published_speed",
                    "--folder",
                    name,
                    "--role",
                    each,
                ]
                done = subprocess.run(command, check=True, capture_output=True, text=True)  # ourselves
                found[each].append(json.loads(done.stdout.splitlines()[-1]))
        _refuse_difference(*(np.load(folder / f"{each}.npy") for each in _ROLES))
    _tell(found, seconds, gigaflops)


def _prepare(folder: Path, width: int, layers: int, seconds: float) -> float:
    """Write music, state and model file; returns the operations in products of the whole, in units of 1e9."""
    import torch

    from export import bundle, published
    from export.trials.timing import product_flops
    from training.nets.apollo_published import PublishedApollo

    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = PublishedApollo(width, layers).eval()
    graphs, path = published.export_graphs(net), folder / "apollo.onnx"
    bundle.write(graphs, published.make_card(net, graphs, path, "apollo", "none", {}, {}))
    torch.save(net.state_dict(), folder / "apollo.bin")
    music = np.random.default_rng(0).standard_normal((round(seconds * net.sample_rate), 2)) * 0.1
    np.save(folder / "music.npy", music.astype(np.float32))
    n_frames = seconds * net.sample_rate / net.hop_length
    return product_flops(graphs[0].model) * n_frames / 1e9


def _measure(folder: Path, role: str) -> None:
    """Restore the music in one way, write the result, and print what it took."""
    music = np.load(folder / "music.npy")
    restore = _with_pytorch(folder) if role == _ROLES[0] else _with_model_file(folder)
    begin_s = time.process_time()
    restored = restore(music)
    spent_s = time.process_time() - begin_s
    peak = _most_memory_bytes()
    np.save(folder / f"{role}.npy", restored)
    click.echo(json.dumps({"cpu_s": spent_s, "peak_bytes": peak}))


def _most_memory_bytes() -> int:
    """Peak of this program alone: what `getrusage` says begins with what the parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * _KIB


def _with_pytorch(folder: Path) -> Any:
    import torch

    from training.nets.checkpoint import load_published

    torch.set_num_threads(1)
    net = load_published(folder / "apollo.bin")

    @torch.inference_mode()
    def restore(music: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(net(torch.from_numpy(music.T.copy())[None])[0].numpy().T)

    return restore


def _with_model_file(folder: Path) -> Any:
    stream = open_batch_stream(load(folder / "apollo.onnx"))
    assert stream is not None

    def restore(music: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [stream.process(music[begin : begin + 65_536]) for begin in range(0, len(music), 65_536)]
        return np.concatenate([*parts, stream.finish()])[stream.latency_samples :]

    return restore


def _refuse_difference(whole: NDArray[np.float32], ours: NDArray[np.float32]) -> None:
    error_db = 20 * np.log10(np.abs(whole - ours).max() / np.abs(whole).max() + 1e-12)
    if not error_db <= _MOST_ERROR_DB:
        raise click.ClickException(f"they differ by {error_db:.0f} dB of the peak")
    click.echo(f"Both agree to {error_db:.0f} dB of the peak.\n")


def _tell(found: dict[str, list[dict[str, float]]], seconds: float, gigaflops: float) -> None:
    from export.trials.timing import sgemm_peak_gflops

    peak = max(sgemm_peak_gflops() for _ in range(5))
    click.echo("| one thread, stereo | s for a second | GFLOPS | of numpy's sgemm, % | most memory, MB |")
    click.echo("|---|---|---|---|---|")
    best = {role: min(each["cpu_s"] for each in rounds) for role, rounds in found.items()}
    memory = {role: max(each["peak_bytes"] for each in rounds) for role, rounds in found.items()}
    for role in _ROLES:
        speed = gigaflops / best[role]
        share, megabytes = 100 * speed / peak, memory[role] / 1e6
        click.echo(f"| {role} | {best[role] / seconds:.2f} | {speed:.1f} | {share:.0f} | {megabytes:.0f} |")
    whole, ours = _ROLES
    ratio, share = best[whole] / best[ours], 100 * memory[ours] / memory[whole]
    click.echo(f"\nThe model file is {ratio:.2f} times as fast, with {share:.0f} % of the memory.")
    click.echo(f"sgemm reaches {peak:.0f} GFLOPS.")


if __name__ == "__main__":
    main()
