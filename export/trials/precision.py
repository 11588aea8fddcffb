"""`python -m export.trials.precision --checkpoint X`: int8 and fp16 by ONNX Runtime's own tools, time and quality.

What may be quantised are the products with trained weights: the spectrum's powers reach 1e10, which neither int8 nor
fp16 can hold. (Of these, dynamic quantisation takes MatMul alone, not Gemm; scales by channel are refused for batched
products. The fp16 tool casts what lies between all other nodes to fp16 too, where a power is an infinity.)
Quality is what the variant puts out, frame by frame with its own states, against float32: relative to the output, and
relative to what the model changes, which is all that it is there for.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import click
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime  # type: ignore[import-untyped]  # ships no type hints
from onnxruntime import quantization
from onnxruntime.transformers.float16 import convert_float_to_float16  # type: ignore[import-untyped]  # ships no type hints

Array = npt.NDArray[np.float32]
Frames = tuple[Array, Array]
"""Spectra and carriers, each (frames, 2, bins, 2)."""

_CALIBRATION_FRAMES, _TEST_FRAMES = 200, 400


def weighted_products(model: onnx.ModelProto) -> list[str]:
    """Names of the products with trained weights."""
    weights = {tensor.name for tensor in model.graph.initializer if _is_trained(tensor.name)}
    return [node.name for node in model.graph.node if node.op_type in ("MatMul", "Gemm") and weights & {*node.input}]


def _is_trained(name: str) -> bool:
    return (name.startswith(("attention.", "time.")) and "tap" not in name) or ".weights." in name


class _Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no types
    """Frames of music with the states that belong to them, from the float32 graph."""

    def __init__(self, model: onnx.ModelProto, frames: Frames) -> None:
        self._feeds = _feeds(_session(model), frames)

    def get_next(self) -> dict[str, Array] | None:
        return next((feed for feed, _ in self._feeds), None)


def variants(model: onnx.ModelProto, frames: Frames, folder: Path) -> dict[str, onnx.ModelProto]:
    """The model in other precisions.

    Args:
        model: the float32 step.
        frames: to calibrate with.
        folder: for files in between.
    """
    products, path, serialised = weighted_products(model), folder / "model.onnx", model.SerializeToString()
    others = [node.name for node in model.graph.node if node.name not in products]

    def written(write: Callable[[onnx.ModelProto], None]) -> onnx.ModelProto:
        write(onnx.load_from_string(serialised))  # the tools move its weights into a file
        return onnx.load(path)

    return {
        "float32": model,
        "int8 dynamic": written(lambda own: quantization.quantize_dynamic(own, path, nodes_to_quantize=products)),
        "int8 static QDQ": written(
            lambda own: quantization.quantize_static(own, path, _Calibration(model, frames), nodes_to_quantize=products)
        ),
        "fp16": _to_fp16(onnx.load_from_string(serialised), others),
    }


def _to_fp16(model: onnx.ModelProto, others: list[str]) -> onnx.ModelProto:
    """Products in fp16. Where two nodes take one value the tool casts it twice under one name: one cast is left."""
    converted: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True, node_block_list=others)
    by_output = {node.output[0]: node for node in reversed(converted.graph.node)}
    kept = [node for node in converted.graph.node if by_output[node.output[0]] is node]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del converted.graph.node[:]
    converted.graph.node.extend(copies)
    return converted


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _feeds(session: onnxruntime.InferenceSession, frames: Frames) -> Iterator[tuple[dict[str, Array], Array]]:
    """Inputs and outputs, frame by frame, from silence."""
    states = {
        value.name: np.zeros(value.shape, np.float32)
        for value in session.get_inputs()
        if value.name.startswith("state_")
    }
    for spectrum, carrier in zip(*frames, strict=True):
        feed = {"spectrum": spectrum, "carrier": carrier} | states
        restored, *following = session.run(["restored", *(f"{name}_next" for name in states)], feed)
        yield feed, restored
        states = dict(zip(states, following, strict=True))


def _error_db(error: Array, reference: Array) -> float:
    return float(10 * np.log10((np.sum(error**2, dtype=np.float64) + 1e-30) / np.sum(reference**2, dtype=np.float64)))


@click.command()
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
def main(checkpoint: Path) -> None:
    """Print a table as Markdown."""
    import torch

    from export.graphs.step_module import StepModule
    from export.graphs.to_onnx import to_onnx
    from export.trials.timing import time_graphs
    from export.verify import music_like, reference
    from training.nets.causal_restorer import Restorer
    from training.nets.checkpoint import load_restorer

    torch.set_num_threads(1)
    net = cast("Restorer", load_restorer(checkpoint)[0])  # of a level net nothing is measured here
    signal = music_like(_CALIBRATION_FRAMES + _TEST_FRAMES, net.config.framing.hop_length, seed=11)
    frames, _ = reference(net, signal)
    spectrum, carrier = (frames[name].numpy() for name in ("spectrum", "carrier"))
    calibration = spectrum[:_CALIBRATION_FRAMES], carrier[:_CALIBRATION_FRAMES]
    test = spectrum[_CALIBRATION_FRAMES:], carrier[_CALIBRATION_FRAMES:]
    with TemporaryDirectory() as folder:
        models = variants(to_onnx(StepModule(net)), calibration, Path(folder))
    outputs = {
        name: np.stack([restored for _, restored in _feeds(_session(model), test)]) for name, model in models.items()
    }
    times = time_graphs(models)
    wanted, change = outputs["float32"], outputs["float32"] - test[0]
    click.echo("| variant | MB | ms a step, fastest | median | error, dB of the output | error, dB of the change |")
    click.echo("|---|---|---|---|---|---|")
    for name, model in models.items():
        error = outputs[name] - wanted
        click.echo(
            f"| {name} | {model.ByteSize() / 1e6:.1f} | {times[name].fastest_ms:.2f} | {times[name].median_ms:.2f} | "
            f"{_error_db(error, wanted):.0f} | {_error_db(error, change):.0f} |"
        )


if __name__ == "__main__":
    main()
