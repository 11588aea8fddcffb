"""Apollo RT: live restoration of music that a lossy codec damaged.

    from apollo_rt import ApolloEffect, Board, RestorationStream, load_model, restore_file

    restore_file("song.mp3", "restored.wav")            # a file; aligned with its source to the sample
    y = ApolloEffect(mix=1.0)(audio, sample_rate)       # an array, with Pedalboard's call contract
    board = Board([HighpassFilter(30), ApolloEffect()]) # with Pedalboard's own plugins, latency compensated
    stream = RestorationStream(load_model())            # any number of samples in, as many out, a constant
    restored = stream.process(samples)                  # `stream.latency_samples` later

Each name is loaded when it is first used, so that importing the package costs nothing. All errors that a user can
mend are `ApolloError`s; `errors` has them all. The live engine is behind the command line: see `commands.cli` and
`live.engine`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from apollo_rt import usage_reports

if TYPE_CHECKING:
    from apollo_rt.effects.apollo_effect import ApolloEffect
    from apollo_rt.effects.board import Board, Chain, Mix
    from apollo_rt.errors import ApolloError, AudioFileError, ModelFileError
    from apollo_rt.files.offline import restore_file
    from apollo_rt.inference.model_choice import open_model as load_model
    from apollo_rt.stream.restoration_stream import RestorationStream

__all__ = [
    "ApolloEffect",
    "ApolloError",
    "AudioFileError",
    "Board",
    "Chain",
    "Mix",
    "ModelFileError",
    "RestorationStream",
    "load_model",
    "restore_file",
]

_HOMES = {
    "ApolloEffect": ("effects.apollo_effect", "ApolloEffect"),
    "Board": ("effects.board", "Board"),
    "Chain": ("effects.board", "Chain"),
    "Mix": ("effects.board", "Mix"),
    "RestorationStream": ("stream.restoration_stream", "RestorationStream"),
    "load_model": ("inference.model_choice", "open_model"),
    "restore_file": ("files.offline", "restore_file"),
}
"""Public name to module and name there; errors live in `errors` under their own names."""

usage_reports.switch_off()  # whoever imports anything of this package passes here first


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, name_there = _HOMES.get(name, ("errors", name))
    value = getattr(import_module(f"{__name__}.{module}"), name_there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
