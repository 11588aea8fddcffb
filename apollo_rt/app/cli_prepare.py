"""`apollo-rt prepare`: what takes long is done before a stream opens."""

import click

from apollo_rt.app.cli_model import speed_text
from apollo_rt.app.model_options import model_option, provider_option


@click.command(short_help="Build a model's engine ahead of time.")
@model_option
@provider_option("tensorrt")
def prepare(model: str | None, provider: str) -> None:
    """Load a model on a provider once, so that a stream opens at once afterwards, and say how it does there.

    For TensorRT that builds the engine, which takes minutes, and keeps it: until GPU, TensorRT, ONNX Runtime or the
    model change. The output is compared with the golden pair in the model's file, which shows what +fp16 costs.
    """
    # Late, because numba and onnxruntime would make --help wait.
    from apollo_rt.inference.model_choice import open_model
    from apollo_rt.stream.golden import golden_error_db

    click.echo(f"getting {provider} ready; an engine takes minutes", err=True)
    loaded = open_model(model, provider)
    error_db = golden_error_db(loaded)
    click.echo(f"{loaded.card.name} is ready on {loaded.provider}: {speed_text(loaded)}")
    click.echo(f"its output differs by {error_db:.0f} dB from that of PyTorch in float32 (of the peak, golden pair)")
