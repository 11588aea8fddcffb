"""`python -m export.trials.folds --checkpoint X`: what each fold of the graph brings, in one run."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from export.trials.timing import GraphTime

_ROWS = {
    "as the net is written": (),
    "+ layers: states in rows, one product sums the taps, residuals inside products": ("layers",),
    "+ bins: planes, constants folded, one product there and one back": ("layers", "bins"),
}
_BATCHES = (8, 16, 32)


@click.command()
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
def main(checkpoint: Path) -> None:
    """Print tables of node counts and times, as Markdown."""
    import torch

    from export.graphs.step_module import StepModule
    from export.graphs.to_onnx import tier_names, to_onnx
    from export.trials.timing import product_flops, sgemm_peak_gflops, time_graphs
    from training.nets.causal_restorer import Restorer
    from training.nets.checkpoint import load_restorer

    torch.set_num_threads(1)
    net = cast("Restorer", load_restorer(checkpoint)[0])  # a level net is folded in one way only
    hop_ms = 1e3 * net.config.framing.hop_period_s
    steps = {name: to_onnx(StepModule(net, folds=folds)) for name, folds in _ROWS.items()}
    for place, tier in enumerate(tier_names(net)[1:], 1):
        steps[f"tier {tier!r}, all folds"] = to_onnx(StepModule(net, len(net.config.exits) - 1 - place))
    batches = {n_frames: to_onnx(StepModule(net, n_frames=n_frames)) for n_frames in _BATCHES}
    click.echo(f"Load is the fastest time in percent of a hop, {hop_ms:.2f} ms; one thread.\n")
    click.echo("| step | nodes in the file | after ONNX Runtime | ms, fastest | ms, median | load, % |")
    click.echo("|---|---|---|---|---|---|")
    for what, measured in time_graphs(steps).items():
        click.echo(_line(what, measured, 1, hop_ms))
    click.echo(
        "\n| frames of a batch | nodes | after ONNX Runtime | ms a frame, fastest | median | load, % | of peak, % |"
    )
    click.echo("|---|---|---|---|---|---|---|")
    times = time_graphs({str(n_frames): model for n_frames, model in batches.items()})
    peak = sgemm_peak_gflops()
    for n_frames, model in batches.items():
        measured = times[str(n_frames)]
        share = 100 * product_flops(model) / (measured.fastest_ms * 1e6) / peak
        click.echo(f"{_line(str(n_frames), measured, n_frames, hop_ms)} {share:.0f} |")
    flops = product_flops(batches[_BATCHES[0]]) / _BATCHES[0]
    click.echo(
        f"\nProducts of a frame: {flops / 1e6:.1f} million operations; numpy's sgemm reaches {peak:.0f} GFLOPS on this "
        f"core, at which the products alone would be {hop_ms / (flops / peak / 1e6):.0f} times real time."
    )


def _line(what: str, measured: "GraphTime", n_frames: int, hop_ms: float) -> str:
    load = 100 * measured.fastest_ms / n_frames / hop_ms
    times = f"{measured.fastest_ms / n_frames:.3f} | {measured.median_ms / n_frames:.3f}"
    return f"| {what} | {measured.n_nodes} | {measured.n_nodes_run} | {times} | {load:.1f} |"


if __name__ == "__main__":
    main()
