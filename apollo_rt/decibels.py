"""Levels as people read them."""

import math

SILENCE_DB = -60.0
"""Below this a meter shows silence."""


def level_db(peak: float) -> float:
    """A level in dB below full scale, no lower than `SILENCE_DB`; what is no number counts as silence."""
    return max(20.0 * math.log10(peak), SILENCE_DB) if peak > 0.0 else SILENCE_DB
