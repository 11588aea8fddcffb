"""The one table of what a user may change: help, docs, MIDI, socket and screen are made from its rows.

It stands apart from the live values so that whoever only wants to read it need not wait for compiled code.
"""

from apollo_rt.control.parameter_row import Parameter

MIX, BYPASS, DELTA, STRENGTH, AIR_DB, CROSSOVER_HZ, LOW_CUT_HZ, OUTPUT_GAIN_DB = range(8)
"""Where each value lies in the shared array: the order of the table."""

PARAMETERS = (
    Parameter(
        "mix", "", 0.0, 1.0, 1.0, "How much of the restored signal is heard: 0 is the input, 1 the restoration.",
        step=0.05, settles_ms=1.5,
    ),
    Parameter(
        "bypass", "switch", 0.0, 1.0, 0.0, "Hear the input at unchanged latency, whatever else is set.",
        step=1.0, settles_ms=46.0,
    ),
    Parameter(
        "delta", "switch", 0.0, 1.0, 0.0, "Hear only what the model changed: the restored signal minus the input.",
        step=1.0, settles_ms=1.5,
    ),
    Parameter(
        "strength", "", 0.0, 1.5, 1.0, "How much of the model's correction is applied to what the codec left.",
        step=0.05, settles_ms=80.0,
    ),
    Parameter(
        "air_db", "dB", -60.0, 12.0, 0.0, "Level of what is generated where the codec left nothing, mostly the highs.",
        step=1.0, settles_ms=110.0, at_minimum="none",
    ),
    Parameter(
        "crossover_hz", "Hz", 20.0, 20_000.0, 20.0, "Below this frequency the signal stays as it came in.",
        step=2 ** (1 / 6), scale="log", settles_ms=130.0, at_minimum="off",
    ),
    Parameter(
        "low_cut_hz", "Hz", 20.0, 1000.0, 20.0, "What lies below this frequency is filtered out, 12 dB per octave.",
        step=2 ** (1 / 6), scale="log", settles_ms=46.0, at_minimum="off",
    ),
    Parameter(
        "output_gain_db", "dB", -24.0, 12.0, 0.0, "Gain of all that is heard.",
        step=0.5, settles_ms=46.0,
    ),
)  # fmt: skip

_INDEX = {parameter.name: index for index, parameter in enumerate(PARAMETERS)}


def parameter(name: str) -> Parameter:
    """The row called `name`.

    Raises:
        ValueError: there is none.
    """
    return PARAMETERS[index_of(name)]


def index_of(name: str) -> int:
    """Index of a parameter's value.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in _INDEX:
        raise ValueError(f"parameter must be one of {', '.join(_INDEX)}, got {name!r}")
    return _INDEX[name]
