"""Does an engine do what a model's file says it must? The golden pair in it, through the processor of this machine."""

import numpy as np

from apollo_rt.errors import ParityError
from apollo_rt.inference.model import Model
from apollo_rt.inference.provider import Provider
from apollo_rt.stream.processor import Processor

_FLOOR_DB = -200.0
_FLOAT32_DB, _TENSORRT_DB, _EIGHT_BITS_DB, _HALF_DB = -80.0, -50.0, -40.0, -30.0
"""What may differ, relative to the golden output's peak. Float32 sums in another order: measured -110 dB and less.
TensorRT multiplies in TF32, fp16 in half precision, mantissas of 10 bits each; the limits only tell a wrong engine from
a coarse one (not measured: no GPU was at hand). Products with weights of 8 bits round what goes into them too: measured
-55 to -70 dB."""


def tolerance_db(provider: Provider, weight_bits: int = 32) -> float:
    """The difference above which an engine counts as wrong, not as coarse."""
    if provider.fp16:
        return _HALF_DB
    if weight_bits == 8:
        return _EIGHT_BITS_DB
    return _TENSORRT_DB if provider.name == "tensorrt" else _FLOAT32_DB


def golden_error_db(model: Model) -> float:
    """Run the golden input through a fresh processor; for the tier that is loaded.

    Returns:
        The greatest difference from the golden output, in dB of its peak; -200 where there is none.

    Raises:
        ParityError: it is above the tolerance, or the output is not finite.
    """
    golden, processor = model.card.golden_of(model.tier), Processor(model)
    processor.warm_up()
    output = np.array([processor.process(hop) for hop in golden.input])
    error, peak = float(np.abs(output - golden.output).max()), float(np.abs(golden.output).max())
    error_db = 20 * float(np.log10(error / max(peak, 1e-9))) if error > 0 else _FLOOR_DB
    faults = f", {processor.frame_faults} frames were replaced" if processor.frame_faults else ""
    limit_db = tolerance_db(model.provider, model.card.weight_bits)
    if not error_db <= limit_db or faults:
        raise ParityError(
            f"{model.card.path}: on {model.provider} the tier {model.tier} differs by {error_db:.1f} dB from the "
            f"golden pair in the file, at most {limit_db:.0f} dB are allowed{faults}"
        )
    return max(error_db, _FLOOR_DB)
