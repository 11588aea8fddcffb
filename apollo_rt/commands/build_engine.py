"""`apollo-rt build-engine`: what takes long is done before a stream opens."""

import click

from apollo_rt.commands.model_commands import speed_text
from apollo_rt.commands.model_options import model_option, provider_option
from apollo_rt.console.say import say


@click.command("build-engine", short_help="Build a model's engine ahead of time.")
@model_option
@provider_option("tensorrt")
def build_engine(model: str | None, provider: str) -> None:
    """Load a model on a provider once, so that a stream opens at once afterwards, and say how it does there.

    For TensorRT that builds the engine, which takes minutes, and keeps it: until GPU, TensorRT, ONNX Runtime or the
    model change. The output is compared with the golden pair in the model's file, which shows what +fp16 costs.
    """
    # Late, because numba and onnxruntime would make --help wait.
    from apollo_rt.inference.model_choice import open_model, open_tiers
    from apollo_rt.stream.golden import golden_error_db

    say(f"getting {provider} ready; an engine takes minutes", err=True)
    for tier, loaded in open_tiers(open_model(model, provider)).items():
        error_db = golden_error_db(loaded)
        loaded.new_batch()  # what files are restored with has an engine of its own
        say(f"{loaded.card.name}, tier {tier}, is ready: {speed_text(loaded)}")
        say(f"its output differs by {error_db:.0f} dB from PyTorch's in float32 (of its peak, golden pair)")
