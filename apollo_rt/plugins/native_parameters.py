"""Parameters of Pedalboard's own effects have their ranges here: Pedalboard tells names and values, no more.

The ranges are those that make sense for music; they hold for what an effect begins with, too.
"""

LOG = "log"

RANGES: dict[str, tuple[float, float, str]] = {
    "attack_ms": (0.1, 500.0, LOG),
    "bit_depth": (1.0, 32.0, ""),
    "ceiling_db": (-24.0, 0.0, ""),
    "centre_delay_ms": (1.0, 100.0, ""),
    "centre_frequency_hz": (20.0, 20_000.0, LOG),
    "cutoff_frequency_hz": (5.0, 20_000.0, LOG),
    "cutoff_hz": (5.0, 20_000.0, LOG),
    "damping": (0.0, 1.0, ""),
    "delay_seconds": (0.0, 2.0, ""),
    "depth": (0.0, 1.0, ""),
    "drive": (1.0, 10.0, ""),
    "drive_db": (0.0, 60.0, ""),
    "dry_level": (0.0, 1.0, ""),
    "feedback": (0.0, 1.0, ""),
    "freeze_mode": (0.0, 1.0, ""),
    "gain_db": (-60.0, 24.0, ""),
    "mix": (0.0, 1.0, ""),
    "q": (0.1, 20.0, LOG),
    "rate_hz": (0.01, 20.0, LOG),
    "ratio": (1.0, 50.0, LOG),
    "release_ms": (1.0, 5000.0, LOG),
    "resonance": (0.0, 1.0, ""),
    "room_size": (0.0, 1.0, ""),
    "threshold_db": (-100.0, 0.0, ""),
    "vbr_quality": (0.0, 10.0, ""),
    "wet_level": (0.0, 1.0, ""),
    "width": (0.0, 1.0, ""),
}
"""Lowest and highest value, and the scale of a knob. Not here: what changes an effect's latency (`lookahead_ms`,
`semitones`, `target_sample_rate`, `quality`) or is no number; such things are fixed when it is loaded."""

NOT_LIVE = {
    "PitchShift": "returns nothing but silence",
    "GSMFullRateCompressor": "returns garbled sound in blocks of less than 4096 samples",
}
"""What Pedalboard 0.9.26 can't do block by block (`reset=False`), measured: `tests/plugins/test_hosted_plugin.py`."""

CHOICES = ("mode",)
"""What is one of several words."""

_UNITS = {"_hz": "Hz", "_db": "dB", "_ms": "ms", "_seconds": "s"}


def unit_of(name: str) -> str:
    """The unit that stands at the end of a parameter's name; empty if there is none."""
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")
