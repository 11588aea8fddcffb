"""An incident, run again off line: the same input, the same looks of the callback, the models' hops computed anew.

Equal means: every sample of the output has the same bits as the recorded one. That holds on the machine, and with the
versions, that recorded it. A hop is computed anew wherever a processor's state is known: from a checkpoint or reset on.
While a change of tier goes on, behind a step that failed, and after a swap of the model it is not, until the next
checkpoint, a second later at most; there the hop is taken as it was recorded. What was covered is covered again: by
what the callback saw of finished hops when it looked. What plugins made can't be made again (their state and code are
their own): in a run that had some every hop is taken as it was recorded, plugins included.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apollo_rt.errors import ApolloError, AudioFileError
from apollo_rt.files.audio_reader import AudioReader
from apollo_rt.inference.model import Model
from apollo_rt.live.monitoring.incident import FORMAT
from apollo_rt.live.realtime.gaps import add_hole, fade_around_holes, make_holes
from apollo_rt.live.realtime.tier_switch import DRY
from apollo_rt.live.realtime.trace import (
    HOLE_BEGIN,
    HOLE_END,
    HOLE_OUTPUT,
    KEPT_SAMPLES,
    LOOK_END,
    LOOK_MIXER,
    LOOK_POSITION,
    LOOK_WET_END,
    RESET,
    RESTED,
    STEP_CODE,
    STEP_NEXT_SLOT,
    STEP_POSITION,
    STEP_PUBLISHED,
    STEP_SLOT,
)
from apollo_rt.stream.checkpoint import KEPT, Checkpoints, restore_checkpoint
from apollo_rt.stream.mixer import N_MIXER, WET, clip, crossfade, finish, replace_faults
from apollo_rt.stream.processor import Processor, rest_processor
from apollo_rt.stream.shaping import N_TARGETS

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Incident:
    """What was written down.

    Attributes:
        facts: `incident.json`.
        input: (samples, 2), from `facts["input_begin"]` on.
        output: (samples, 2), from `facts["output_begin"]` on.
        trace: see `incident` and `trace`.
    """

    facts: dict[str, Any]
    input: Samples
    output: Samples
    trace: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Replay:
    """What came of it.

    Attributes:
        output: computed anew.
        covered: stretches of the input index in which dry stood in, begin and end.
        n_computed: hops that were computed anew.
        n_recorded: hops that were taken as recorded.
        n_other_hops: of those computed, how many are not what was recorded.
        n_other_samples: samples of output that are not what was recorded.
        largest_difference: between any two of them.
    """

    output: Samples
    covered: tuple[tuple[int, int], ...]
    n_computed: int
    n_recorded: int
    n_other_hops: int
    n_other_samples: int
    largest_difference: float

    @property
    def is_equal(self) -> bool:
        """The output is the recorded one, bit for bit."""
        return self.n_other_samples == 0


def read_incident(folder: Path) -> Incident:
    """Read an incident's folder.

    Raises:
        ApolloError: it is none, or of another version.
    """
    try:
        facts = json.loads((folder / "incident.json").read_text())
        if facts["format"] != FORMAT:
            raise ApolloError(f"{folder}: is of format {facts['format']}, this program reads {FORMAT}")
        with np.load(folder / "trace.npz") as arrays:
            trace = dict(arrays)
        sounds = [_read_sound(folder / f"{name}.wav", facts["sample_rate"]) for name in ("input", "output")]
    except (OSError, KeyError, ValueError, AudioFileError) as error:
        raise ApolloError(f"{folder}: is no whole incident: {error}") from None
    return Incident(facts, sounds[0], sounds[1], trace)


def _read_sound(path: Path, sample_rate: int) -> Samples:
    with AudioReader(path, sample_rate) as reader:
        return reader.read(KEPT_SAMPLES)


def run_again(incident: Incident, models: Mapping[int, Model]) -> Replay:
    """Compute an incident's output anew.

    Args:
        incident: from `read_incident`.
        models: the tiers by slot, 0 for the best; what lacks here is taken as recorded.
    """
    hops = _Hops(incident, models)
    steps, targets = incident.trace["steps"], incident.trace["targets"]
    whole = steps[:, STEP_POSITION] + incident.facts["hop_length"] <= incident.facts["end"]
    for step, wanted in zip(steps[whole], targets[whole], strict=True):
        hops.take(step, wanted)
    output, covered = _mixed(incident, hops.wet)
    difference = np.abs(output - incident.output)
    n_other = int(np.count_nonzero((output.view(np.int32) != incident.output.view(np.int32)).any(axis=1)))
    return Replay(
        output, covered, hops.n_computed, hops.n_recorded, hops.n_other, n_other, float(difference.max(initial=0.0))
    )


class _Hops:
    """The worker's part: finished hops by the position of what they are made of, in `wet`."""

    def __init__(self, incident: Incident, models: Mapping[int, Model]) -> None:
        self.n_computed = self.n_recorded = self.n_other = 0
        self.wet = incident.trace["wet"].copy()
        facts = incident.facts
        self._incident = incident
        self._begin, self._hop_length, self._hop_delay = (
            facts[name] for name in ("input_begin", "hop_length", "hop_delay")
        )
        self._has_plugins = bool(facts.get("plugins"))
        self._positions = incident.trace["positions"]
        self._checkpoints = Checkpoints(self._positions, np.zeros(1, np.int64), *(incident.trace[n] for n in KEPT))
        self._processors = {slot: Processor(model) for slot, model in models.items()}
        self._known: int | None = None
        """Slot whose processor is in the state that it had."""

    def take(self, step: NDArray[np.int64], targets: NDArray[np.float64]) -> None:
        """Do what the worker did, with the shaping that was wanted then."""
        slot, code, position = int(step[STEP_SLOT]), int(step[STEP_CODE]), int(step[STEP_POSITION])
        if code == RESET:
            self._reset(slot)
            return
        if self._known != slot:
            self._find_state(slot, position)
        if slot in self._processors:
            self._processors[slot].compiled.shaping.values[:N_TARGETS] = targets
        hop = self._computed(slot, code, position) if self._known == slot else None
        if step[STEP_NEXT_SLOT] != slot:
            hop, self._known = None, None  # a fade from one to the other
        if self._has_plugins:
            hop = None
        if step[STEP_PUBLISHED]:
            self._publish(position - self._hop_delay, hop)

    def _reset(self, slot: int) -> None:
        if slot in self._processors:
            self._processors[slot].reset()
            self._known = slot

    def _find_state(self, slot: int, position: int) -> None:
        at = np.flatnonzero(self._positions == position)
        if slot == DRY or (slot in self._processors and len(at)):
            self._known = slot
            if slot != DRY:
                restore_checkpoint(self._checkpoints, int(at[0]), self._processors[slot].compiled)

    def _computed(self, slot: int, code: int, position: int) -> Samples | None:
        if slot == DRY:
            return self._input(position - self._hop_delay)
        processor = self._processors[slot]
        if code == RESTED:
            rest_processor(processor.compiled)
            return np.zeros((self._hop_length, 2), np.float32)
        n_faults = processor.frame_faults
        hop = processor.process(self._input(position))
        if (processor.frame_faults > n_faults) != (code != 0):
            self._known = None  # it failed then and does not now, or the other way round
            return None
        return hop

    def _input(self, position: int) -> Samples:
        begin = position - self._begin
        part = self._incident.input[max(begin, 0) : begin + self._hop_length]
        return np.concatenate([np.zeros((self._hop_length - len(part), 2), np.float32), part])

    def _publish(self, position: int, hop: Samples | None) -> None:
        place = slice(position - self._begin, position - self._begin + self._hop_length)
        if place.start < 0 or place.stop > len(self.wet):
            return
        if hop is None:
            self.n_recorded += 1
            return
        self.n_computed += 1
        self.n_other += not np.array_equal(self.wet[place].view(np.int32), hop.view(np.int32))
        self.wet[place] = hop


def _mixed(incident: Incident, wet: Samples) -> tuple[Samples, tuple[tuple[int, int], ...]]:
    """The callback's part: the output, and where dry stood in for what was missing."""
    facts, looks = incident.facts, incident.trace["looks"]
    begin, origin = facts["input_begin"], facts["output_begin"] - facts["delay"]
    output = np.zeros_like(incident.output)
    dry = _from(incident.input, begin, origin, len(output))
    wet = _from(wet, begin, origin, len(output))
    mixer = looks[0, LOOK_MIXER:].copy() if len(looks) else np.zeros(N_MIXER)
    covered: list[tuple[int, int]] = []
    ends = np.append(looks[1:, LOOK_POSITION], np.inf)
    for look, next_position in zip(looks, ends, strict=True):
        position, stretch_end = int(look[LOOK_POSITION]), int(look[LOOK_END])
        end = int(min(next_position, stretch_end))
        part = slice(position - origin, end - origin)
        mixer[:WET] = look[LOOK_MIXER : LOOK_MIXER + WET]
        n_covered = crossfade(dry[part], wet[part], int(look[LOOK_WET_END]) - position, mixer, output[part])
        if n_covered:
            covered.append((position, end))
        if end == stretch_end:
            _finish(incident, mixer, output, origin, stretch_end)
    return output, _joined(covered)


def _finish(incident: Incident, mixer: NDArray[np.float64], output: Samples, origin: int, stretch_end: int) -> None:
    """What a stretch of the output goes through behind the mixer."""
    looks, holes = incident.trace["looks"], incident.trace["holes"]
    first = int(np.searchsorted(looks[:, LOOK_END], stretch_end))
    begin = int(looks[first, LOOK_POSITION])
    stretch = output[begin - origin : stretch_end - origin]
    finish(mixer, stretch, incident.facts["sample_rate"])
    here = make_holes()
    for entry in holes[holes[:, HOLE_OUTPUT] == begin] if len(holes) else holes:
        add_hole(here, int(entry[HOLE_BEGIN]), int(entry[HOLE_END]))
    fade_around_holes(here, begin, stretch)
    replace_faults(stretch)
    clip(stretch)


def _from(samples: Samples, begin: int, wanted: int, n_samples: int) -> Samples:
    """So many samples from an absolute position; silence where there are none."""
    found = np.zeros((n_samples, 2), np.float32)
    first, last = max(begin, wanted), min(begin + len(samples), wanted + n_samples)
    if last > first:
        found[first - wanted : last - wanted] = samples[first - begin : last - begin]
    return found


def _joined(stretches: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for begin, end in stretches:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return tuple(joined)
