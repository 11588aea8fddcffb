"""`python -m export --checkpoint last.pt --out model.onnx`; `python -m export plugin` has options of its own."""

import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apollo_rt.errors import ApolloError
from apollo_rt.existing import refuse_existing

if TYPE_CHECKING:
    from export.graphs.to_onnx import ExportedGraph
    from export.verify import Parity
    from training.nets.apollo_published import PublishedApollo
    from training.nets.causal_restorer import Restorer
    from training.nets.level_restorer import LevelRestorer

_UNKNOWN_LICENCE = "not said: that of whoever made the checkpoint"


@click.command(epilog="`python -m export plugin --help`: plugins for hosts, made of a model file.")
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The ONNX file to write.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--name", default="apollo-rt", show_default=True, help="Short name of the model.")
@click.option("--licence", help="SPDX id or text; MIT for nets of ours, nothing else is known of others' checkpoints.")
@click.option(
    "--training", "training_file", type=click.Path(path_type=Path, exists=True), help="JSON: what it was trained on."
)
@click.option(
    "--quality",
    "quality_files",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="JSON: `training evaluate --json`, what it can't do; may be given several times.",
)
@click.option("--correction", type=float, help="Factor of what is corrected.")
@click.option("--carrier-db", type=float, help="Generate more or less of what is missing.")
@click.option("--evidence", type=float, help="Generate where there is less evidence of a loss, or more if negative.")
@click.option("--low-carrier-db", type=float, help="The same below 8 kHz of a level net, 5.5 kHz of one of tokens.")
@click.option("--departure", type=float, help="Share of how far its layers depart from its maps.")
@click.option(
    "--weight-bits",
    type=click.Choice([8, 32]),
    default=32,
    show_default=True,
    help="Of a level net's layers: 8 make a small file and a fast step on a CPU.",
)
@click.option("--frames", "n_frames", type=int, help="Compare so many frames before writing; 2000, 200 of Apollo's.")
def main(
    checkpoint: Path,
    out: Path,
    overwrite: bool,
    name: str,
    licence: str | None,
    training_file: Path | None,
    quality_files: Sequence[Path],
    weight_bits: int,
    n_frames: int | None,
    **turned: float | None,
) -> None:
    """Turn a checkpoint, of ours or of the published Apollo, into one verified, self-describing ONNX file."""
    try:
        refuse_existing(out, overwrite)
    except ApolloError as error:
        raise click.ClickException(str(error)) from error

    import torch

    from training.nets import checkpoint as checkpoints

    torch.set_num_threads(1)  # one frame is too short to share
    facts = _facts(training_file), {key: value for file in quality_files for key, value in _facts(file).items()}
    try:
        content = checkpoints.load(checkpoint)
        if checkpoints.is_published(content):
            if weight_bits != 32 or any(value is not None for value in turned.values()):
                raise ValueError(f"{checkpoint}: is the published Apollo, which has nothing to turn, and 32 bits")
            net = checkpoints.published_of(checkpoint, content)
            _export_published(
                net, content, checkpoint, (out, name, licence or _UNKNOWN_LICENCE), facts, n_frames or 200
            )
        else:
            _export_ours(checkpoint, (out, name, licence or "MIT"), facts, weight_bits, n_frames or 2000, turned)
    except (ApolloError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _export_ours(
    checkpoint: Path,
    head: tuple[Path, str, str],
    facts: tuple[dict[str, Any], dict[str, Any]],
    weight_bits: int,
    n_frames: int,
    turned: dict[str, float | None],
) -> None:
    """Our own net; `head` is where to write, name and licence, `facts` of training and quality."""
    from export import bundle
    from export.graphs.to_onnx import export_graphs
    from export.verify import verify
    from training.nets.checkpoint import load_restorer

    net, content = load_restorer(checkpoint)
    asked = _turned(net, checkpoint, turned)
    run = {"steps": content["step"], "minutes": round(content["trained_s"] / 60, 1), **asked}
    graphs = export_graphs(net, weight_bits=weight_bits)
    parity = verify(net, graphs, n_frames)
    bundle.write(graphs, bundle.make_card(net, graphs, *head, facts[0] | run, facts[1], weight_bits))
    _tell(head[0], parity, graphs)


def _export_published(
    net: "PublishedApollo",
    content: dict[str, Any],
    checkpoint: Path,
    head: tuple[Path, str, str],
    facts: tuple[dict[str, Any], dict[str, Any]],
    n_frames: int,
) -> None:
    """The published Apollo; arguments as of `_export_ours`."""
    from export import bundle, published

    graphs = published.export_graphs(net)
    error_db = published.verify(net, graphs, n_frames)
    known = published.facts_of(content, checkpoint, net) | facts[0]
    bundle.write(graphs, published.make_card(net, graphs, *head, known, facts[1]))
    sizes = ", ".join(f"{name} {size}" for name, size in net.sizes.items())
    click.echo(
        f"{head[0]}: {head[0].stat().st_size / 1e6:.1f} MB; the published Apollo ({sizes}, {len(net.band_widths)} "
        f"bands); over {n_frames} frames in steps and batches it differs from PyTorch over whole pieces by "
        f"{error_db:.0f} dB"
    )


def _turned(net: "Restorer | LevelRestorer", checkpoint: Path, wishes: dict[str, float | None]) -> dict[str, float]:
    """Turn the net as it is wished; returns what was asked for."""
    asked = {option: value for option, value in wishes.items() if value is not None}
    if not asked.keys() <= inspect.signature(net.turn).parameters.keys():
        raise click.ClickException(f"{checkpoint}: its net can't be turned by all of {', '.join(asked)}")
    net.turn(**asked)
    return asked


def _tell(out: Path, parity: "Parity", graphs: "Sequence[ExportedGraph]") -> None:
    click.echo(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB; over {parity.n_frames} frames and {parity.n_starts} fresh starts "
        f"PyTorch offline and streaming differ by {parity.offline_error_db:.0f} dB; ONNX and PyTorch"
    )
    for graph in graphs:
        error_db = parity.graph_error_db[graph.name]
        click.echo(f"  {graph.name}: {len(graph.model.graph.node)} nodes, by {error_db:.0f} dB")


def _facts(file: Path | None) -> dict[str, Any]:
    """Facts of a JSON file; none without one."""
    if file is None:
        return {}
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{file}: no JSON: {error}") from error
    if not isinstance(facts, dict):
        raise click.ClickException(f"{file}: a {type(facts).__name__}, must be an object")
    return facts


if __name__ == "__main__":
    if sys.argv[1:2] == ["plugin"]:
        from export.plugin.build_plugins import plugin

        plugin(sys.argv[2:], prog_name="python -m export plugin")
    main()
