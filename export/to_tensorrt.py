"""A model file as a TensorRT plan: `python -m export.to_tensorrt --model NAME|FILE --out model.plan [--fp16]`.

For programs that run TensorRT themselves; `apollo-rt --provider tensorrt` builds and keeps its own engines. Needs
TensorRT's Python package (`pip install apollo-rt[tensorrt]`) and an NVIDIA GPU: a plan is for the GPU and the version
that built it.
"""

import json
from pathlib import Path
from typing import Any

import click

from apollo_rt.atomic_file import write_whole
from apollo_rt.errors import ApolloError, ProviderError
from apollo_rt.existing import refuse_existing
from apollo_rt.inference.accelerator import NoGpuError, find_gpu
from apollo_rt.inference.model_file import ModelCard, ModelFile, read_model_file
from apollo_rt.inference.model_library import find_model

_WORKSPACE_BYTES = 256 * 2**20
_OPTIMISATION_LEVEL = 5  # of 0 to 5: the longest search, made once


def build_plan(path: Path, out: Path, fp16: bool = False) -> dict[str, Any]:
    """Build the plan of a model file's main graph, check its tensors against the card, and write it.

    Beside it are written `OUT.timing`, which makes a second build quick, and `OUT.json`, which says what the plan was
    built of and for.

    Args:
        path: a model file.
        out: the plan; it appears when it is complete.
        fp16: half precision where it is faster.

    Returns:
        What `OUT.json` holds.

    Raises:
        ModelFileError: the file is no model.
        ProviderError: TensorRT or the GPU is missing, or TensorRT refuses the graph.
    """
    model = read_model_file(path)
    tensorrt = _tensorrt()
    try:
        gpu = find_gpu()
    except NoGpuError as error:
        raise ProviderError(f"tensorrt: {error}; a plan is built on the GPU that will run it") from error
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    timing = out.with_name(out.name + ".timing")
    plan = _built(tensorrt, logger, model, timing, fp16)
    _check_tensors(tensorrt, logger, plan, model.card)
    facts = {
        "model": model.card.name,
        "file": path.name,
        "gpu": gpu.name,
        "compute_capability": gpu.compute_capability,
        "tensorrt": str(tensorrt.__version__),
        "fp16": fp16,
    }
    write_whole(out, plan)
    write_whole(out.with_name(out.name + ".json"), (json.dumps(facts, indent=2) + "\n").encode())
    return facts


def _tensorrt() -> Any:
    try:
        import tensorrt
    except ImportError as error:
        raise ProviderError(
            f"tensorrt: its Python package can't be imported ({error}); pip install 'apollo-rt[tensorrt]'"
        ) from error
    return tensorrt


def _built(tensorrt: Any, logger: Any, model: ModelFile, timing: Path, fp16: bool) -> bytes:
    """The serialised plan; the timings of earlier builds are used and kept."""
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(model.content):
        errors = "; ".join(str(parser.get_error(i).desc()) for i in range(parser.num_errors))
        raise ProviderError(f"tensorrt: it can't read the graph of {model.card.path}: {errors}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    config.builder_optimization_level = _OPTIMISATION_LEVEL
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # its mantissa of 10 bits would make an error of -60 dB
    if fp16:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    cache = config.create_timing_cache(timing.read_bytes() if timing.is_file() else b"")
    config.set_timing_cache(cache, False)  # those of another GPU or version are refused, and made anew
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ProviderError(f"tensorrt: it could not build a plan of {model.card.path}; its own messages stand above")
    write_whole(timing, bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def _check_tensors(tensorrt: Any, logger: Any, plan: bytes, card: ModelCard) -> None:
    """The plan's inputs and outputs must be the card's.

    Raises:
        ProviderError: they are not.
    """
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(plan)
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    found = {name: tuple(engine.get_tensor_shape(name)) for name in names}
    wanted = card.inputs | card.outputs
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise ProviderError(
                f"tensorrt: the plan's tensor {name!r} is {found.get(name)}, the card says {wanted.get(name)}"
            )


@click.command()
@click.option("--model", metavar="NAME|FILE", help="Another model than the one that ships.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The plan to write.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@click.option("--fp16", is_flag=True, help="Half precision where it is faster.")
def main(model: str | None, out: Path, overwrite: bool, fp16: bool) -> None:
    """Build a TensorRT plan of a model file, on the GPU that will run it."""
    try:
        refuse_existing(out, overwrite)
        facts = build_plan(find_model(model), out, fp16)
    except (ApolloError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB for {facts['gpu']} and TensorRT {facts['tensorrt']}")


if __name__ == "__main__":
    main()
