"""The plugins before and after the model, as the worker sees them: compiled, and without the interpreter.

The plugins run in another process (`plugins.host`). A hop goes there through a socket and comes back, while the
worker waits: that takes time, of which the step's budget is, and no latency. What is missing is bypassed at once:

    hop -> delay by the chain's latency -----------------> dry -.
       '-> socket -> plugins in their process -> socket -> wet -'-> faded -> hop

Wet and dry are aligned, and fade into each other within 64 samples. Where wet breaks off, its last distance from dry
fades away instead, so that there is no step. After the model a short delay pads the latency of all to whole hops.
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import realtime
from apollo_rt.compiled.records import Record, load, new_record, store
from apollo_rt.compiled.sockets import receive_message, send_message, socket_calls
from apollo_rt.latency import FADE_LENGTH

BEFORE, AFTER, PADDING = range(3)

OFF, ON, TIMED = range(3)
"""What `ChainControl.wanted` may be: plugins bypassed, heard, or run unheard to be timed."""

NO_LINK = -1


class ChainControl(Record):
    """Numbers by which the supervisor and the worker agree on plugins.

    Attributes:
        link: the socket to the plugins, or `NO_LINK`; the supervisor's.
        wanted: see above; the supervisor's.
        in_use: the socket that the plugins' sound comes from.
        broken: a socket that has failed.
        number: of the newest message.
    """

    link: int
    wanted: int
    in_use: int
    broken: int
    number: int


HEADER = 4
"""Words of a message in front of the hop: its number, the side, its flags, and one to spare."""
RESET = 1
"""Flag: forget all sound first."""

WARM_HOPS = 16
"""Hops that plugins run unheard before they are faded in, beside those that their latency takes: 93 ms."""


_STALE, _EMPTY = -1, -2
"""What plugins hold that must be reset: a sound of long ago, so that they have to get warm; or one that has just been
forgotten on both sides, so that they needn't."""


class Chains(NamedTuple):
    """Both chains; what has two or three rows has one for `BEFORE`, for `AFTER`, and for what pads their latency.

    Attributes:
        control: numbers by which they are agreed on.
        n_plugins: in each of the two.
        lengths: of the delay lines.
        places: where each of them is written next.
        lines: the delay lines.
        cold: hops until the plugins may be heard; negative: they must be reset first, see above.
        gain: of the plugins.
        difference: between the newest samples of wet and dry.
        dry: a hop.
        sent: a message; `sent_hop` is the hop in it.
        got: as `sent`.
        calls: from `socket_calls`.
    """

    control: ChainControl
    n_plugins: Annotated[NDArray[np.int64], 2]
    lengths: Annotated[NDArray[np.int64], 3]
    places: Annotated[NDArray[np.int64], 3]
    lines: Annotated[NDArray[np.float32], 3, "longest", 2]
    cold: Annotated[NDArray[np.int64], 2]
    gain: Annotated[NDArray[np.float64], 2]
    difference: Annotated[NDArray[np.float32], 2, 2]
    dry: Annotated[NDArray[np.float32], "hop_length", 2]
    sent: Annotated[NDArray[np.int64], "words"]
    sent_hop: Annotated[NDArray[np.float32], "hop_length", 2]
    got: Annotated[NDArray[np.int64], "words"]
    got_hop: Annotated[NDArray[np.float32], "hop_length", 2]
    calls: Annotated[NDArray[np.int64], 3]


def make_chains(hop_length: int, n_plugins: tuple[int, int] = (0, 0), latencies: tuple[int, int] = (0, 0)) -> Chains:
    """Chains at the start of a stream.

    Args:
        hop_length: samples.
        n_plugins: before and after the model.
        latencies: samples, of each chain.
    """
    lengths = np.array([*latencies, -sum(latencies) % hop_length], np.int64)
    messages = [np.zeros(HEADER + hop_length, np.int64) for _ in range(2)]  # a word holds both channels of a sample
    hops = [message[HEADER:].view(np.float32).reshape(hop_length, 2) for message in messages]
    control = new_record(ChainControl)
    control.link = control.in_use = control.broken = NO_LINK
    control.wanted = ON
    return Chains(
        control, np.array(n_plugins, np.int64), lengths, np.zeros(3, np.int64),
        np.zeros((3, max(int(lengths.max()), 1), 2), np.float32), np.full(2, _STALE, np.int64), np.zeros(2),
        np.zeros((2, 2), np.float32), np.zeros((hop_length, 2), np.float32),
        messages[0], hops[0], messages[1], hops[1], socket_calls(),
    )  # fmt: skip


@realtime
def latency_after(chains: Chains) -> int:
    """Samples that plugins take after the model, padding included: with those before it whole hops."""
    return int(chains.lengths[AFTER] + chains.lengths[PADDING])


def link(chains: Chains, connection: int, is_at_start: bool = False) -> None:
    """Let the worker use a socket to the plugins, or `NO_LINK`.

    Args:
        chains: may be in use.
        connection: its number.
        is_at_start: nothing runs yet: the plugins are heard from the first sample on.
    """
    if is_at_start:
        chains.control.in_use = connection
        chains.cold[:], chains.gain[:] = 0, 1.0
    store(chains.control, "link", connection)


def want(chains: Chains, wanted: int) -> None:
    """Let the plugins be bypassed (`OFF`), heard (`ON`), or run unheard (`TIMED`)."""
    store(chains.control, "wanted", wanted)


def is_broken(chains: Chains, connection: int) -> bool:
    """Whether the worker has given a socket up."""
    return bool(load(chains.control, "broken") == connection)


@realtime
def pass_plugins(chains: Chains, side: int, hop: NDArray[np.float32]) -> None:
    """Send a hop through the plugins of a side, in place.

    Args:
        chains: no other thread may pass them meanwhile.
        side: `BEFORE` or `AFTER`; behind the latter the padding follows.
        hop: samples.

    Shape:
        (hop_length, 2)
    """
    if chains.n_plugins[side] > 0:
        _delay(chains, side, hop, chains.dry)
        is_timed = load(chains.control, "wanted") == TIMED and chains.gain[side] == 0.0
        is_there = not is_timed and _exchange(chains, side, hop)
        _fade(chains, side, hop, is_there)
    if side == AFTER and chains.lengths[PADDING] > 0:
        _delay(chains, PADDING, hop, hop)


@realtime
def are_timed(chains: Chains) -> bool:
    """Whether they shall be run unheard, and can be."""
    link = load(chains.control, "link")
    return bool(load(chains.control, "wanted") == TIMED and link != NO_LINK and link != chains.control.broken)


@realtime
def pass_unheard(chains: Chains, hop: NDArray[np.float32]) -> None:
    """Send a hop through all plugins and forget it, to see how long that takes.

    Shape:
        (hop_length, 2)
    """
    for side in range(2):
        if chains.n_plugins[side] > 0:
            _exchange(chains, side, hop)
            chains.cold[side] = _STALE


@entry
@realtime
def reset_plugins(chains: Chains) -> None:
    """Forget all sound, after a jump: the next hops belong to what was before it and are heard by nobody."""
    chains.lines[:] = np.float32(0.0)
    chains.difference[:] = np.float32(0.0)
    for side in range(2):
        if chains.cold[side] == 0:
            chains.cold[side] = _EMPTY


@realtime
def _delay(chains: Chains, row: int, hop: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    length, place = chains.lengths[row], chains.places[row]
    line = chains.lines[row]
    for index in range(hop.shape[0]):
        for channel in range(2):
            newest = hop[index, channel]
            out[index, channel] = line[place, channel] if length > 0 else newest
            line[place, channel] = newest
        place = place + 1 if place + 1 < length else 0
    chains.places[row] = place


@realtime
def _exchange(chains: Chains, side: int, hop: NDArray[np.float32]) -> bool:
    """Have the plugins make their hop, in `got_hop`; False where they aren't wanted, or can't."""
    control = chains.control
    connection = load(control, "link")
    is_wanted = load(control, "wanted") != OFF or chains.gain[side] > 0.0
    if connection == NO_LINK or connection == control.broken or not is_wanted:
        chains.cold[side] = _STALE
        return False
    if connection != control.in_use:
        control.in_use = connection
        chains.cold[:] = _STALE
    if chains.cold[side] == _STALE and chains.gain[side] > 0.0:
        return False  # they fade out first
    must_reset = chains.cold[side] < 0
    if chains.cold[side] == _STALE:
        chains.cold[side] = chains.lengths[side] // hop.shape[0] + 1 + WARM_HOPS
    control.number += 1
    chains.cold[side] = max(chains.cold[side] - 1, 0)
    chains.sent[0], chains.sent[1], chains.sent[2] = control.number, side, RESET if must_reset else 0
    for index in range(hop.shape[0]):
        for channel in range(2):
            chains.sent_hop[index, channel] = hop[index, channel]
    is_there = send_message(chains.calls, connection, chains.sent) and receive_message(
        chains.calls, connection, chains.got
    )
    if not is_there or chains.got[0] != control.number:
        store(control, "broken", connection)
        chains.cold[side] = _STALE
        return False
    return True


@realtime
def _fade(chains: Chains, side: int, hop: NDArray[np.float32], is_there: bool) -> None:
    """Mix wet and dry into the hop."""
    target = 1.0 if is_there and chains.cold[side] == 0 and load(chains.control, "wanted") == ON else 0.0
    gain, step = chains.gain[side], 1.0 / FADE_LENGTH
    wet, dry, difference = chains.got_hop, chains.dry, chains.difference[side]
    for index in range(hop.shape[0]):
        gain = min(gain + step, target) if gain < target else max(gain - step, target)
        for channel in range(2):
            if is_there:
                difference[channel] = wet[index, channel] - dry[index, channel]
            if is_there and gain == 1.0:
                hop[index, channel] = wet[index, channel]
            else:
                hop[index, channel] = dry[index, channel] + np.float32(gain) * difference[channel]
    chains.gain[side] = gain
