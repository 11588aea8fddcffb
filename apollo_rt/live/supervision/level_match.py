"""Level match keeps the input, where it is heard in place of the restoration, as loud as that: ITU-R BS.1770.

Louder sounds better, whatever else is different; a comparison is fair at equal loudness. The worker measures both as
soon as there is a match (`stream.loudness`); here, beside the audio path, the newest 10 s are integrated and the
input's gain is set.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.records import load, store
from apollo_rt.live.realtime.heard_signal import AS_SET, INPUT, RESTORED
from apollo_rt.live.realtime.shared_state import SharedState
from apollo_rt.stream.loudness import N_PARTS, PARTS_PER_BLOCK, integrated_lufs, sounding_values

_N_INTEGRATED = 100
_FORCED = {None: AS_SET, "input": INPUT, "restored": RESTORED}
_MOST_DB = 12.0
"""Further apart are no two versions of one music: somebody has turned something off."""


class LevelMatch:
    """Measures, and sets the input's gain, until it is turned off.

    Args:
        shared: may be running.

    Attributes:
        gain_db: of the input where it is heard, if its peaks allow that.
        is_on: whether it is applied.
    """

    def __init__(self, shared: SharedState) -> None:
        self.gain_db = 0.0
        self.is_on = True
        self._shared, self._begin = shared, 0
        self._values = sounding_values(shared.parameters)
        store(shared.loudness.progress, "is_wanted", 1)

    def poll(self) -> list[str]:
        """Measure anew and set the gain; what a parameter changed is measured afresh. Has nothing to say."""
        values = sounding_values(self._shared.parameters)
        if values != self._values:
            self._values, self._begin = values, self._n_parts
        before_lufs, after_lufs = map(integrated_lufs, self._newest(_N_INTEGRATED))
        if math.isfinite(before_lufs) and math.isfinite(after_lufs):
            self.gain_db = min(max(after_lufs - before_lufs, -_MOST_DB), _MOST_DB)
        store(self._shared.heard, "match_gain", 10.0 ** (self.gain_db / 20.0) if self.is_on else 1.0)
        return []

    def hear(self, what: str | None) -> None:
        """Let the `input` or what is `restored` be heard whatever bypass says; None: what it says."""
        store(self._shared.heard, "forced", _FORCED[what])

    def describe(self) -> dict[str, Any]:
        """All as plain values, for JSON; a loudness is None where there is none, as of silence."""
        integrated, momentary = (
            [round(value, 1) if math.isfinite(value) else None for value in map(integrated_lufs, self._newest(count))]
            for count in (_N_INTEGRATED, PARTS_PER_BLOCK)
        )
        return {
            "is_on": self.is_on,
            "gain_db": round(self.gain_db, 2),
            "integrated_lufs": dict(zip(("input", "restored"), integrated, strict=True)),
            "momentary_lufs": dict(zip(("input", "restored"), momentary, strict=True)),
        }

    @property
    def _n_parts(self) -> int:
        return int(load(self._shared.loudness.progress, "n_parts"))

    def _newest(self, count: int) -> NDArray[np.float64]:
        """Newest parts of input and restoration, at most so many, since a parameter changed: `(2, parts)`."""
        end = self._n_parts
        return self._shared.loudness.parts[np.arange(max(self._begin, end - count), end) % N_PARTS].T
