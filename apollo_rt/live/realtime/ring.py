"""Rings between two threads: carry samples from one to the other; neither waits, and neither needs the interpreter.

Everything is addressed by absolute sample index, counted from the start of the stream. Three uses:

    history   the callback appends its input and never waits; the worker reads hops, the callback itself the delayed dry
    queue     a file's thread and the callback: `put` takes what fits, `take` gives what is there
    wet ring  the worker puts hops in, each with a tag; the callback plays a sample only if its hop's tag says so
"""

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apollo_rt.compiled.functions import entry
from apollo_rt.compiled.native import atomic_load, atomic_store, realtime
from apollo_rt.compiled.records import CACHE_LINE, Record, load, new_record, store

UNKNOWN = -1
"""`Marks.end` while the stream's length isn't known."""

CHUNK = 1024
"""The most samples that are written at once."""

_LAP_MARGIN = 4 * CHUNK
"""A reader counts itself lapped so many samples early: the chunk being written lies in it, and so much time (93 ms)
that no reordering of loads matters."""

_NO_HOP = -(2**62)
"""Tag of a slot that holds nothing."""


Block = Annotated[NDArray[np.float32], "samples", 2]
"""Samples that Python hands over or wants."""


class Marks(Record, spacing=CACHE_LINE):
    """Tells how far a ring's two threads have got, in samples since the start of the stream.

    Attributes:
        written: end of what has been written; the writer's.
        read: end of what has been read from a queue; the reader's.
        end: length of the whole stream, or `UNKNOWN`; the writer's.
    """

    written: int
    read: int
    end: int


class Ring(NamedTuple):
    """Holds samples by absolute index.

    Attributes:
        samples: the newest; the capacity is a power of two.
        marks: how far writer and reader have got.
    """

    samples: Annotated[NDArray[np.float32], "capacity", 2]
    marks: Marks


def make_ring(least_capacity: int) -> Ring:
    """Allocate an empty ring for at least so many samples; silence comes before its first sample."""
    capacity = 1 << max(least_capacity - 1, 1).bit_length()
    marks = new_record(Marks)
    marks.end = UNKNOWN
    return Ring(np.zeros((capacity, 2), np.float32), marks)


@realtime
def copy_in(ring: Ring, position: int, block: NDArray[np.float32]) -> None:
    """Store a block at an absolute position; tells nobody.

    Shape:
        (samples, 2)
    """
    mask = ring.samples.shape[0] - 1
    for index in range(block.shape[0]):
        slot = (position + index) & mask
        ring.samples[slot, 0] = block[index, 0]
        ring.samples[slot, 1] = block[index, 1]


@realtime
def copy_out(ring: Ring, position: int, block: NDArray[np.float32]) -> None:
    """Fetch a block from an absolute position, whatever stands there.

    Shape:
        (samples, 2)
    """
    mask = ring.samples.shape[0] - 1
    for index in range(block.shape[0]):
        slot = (position + index) & mask
        block[index, 0] = ring.samples[slot, 0]
        block[index, 1] = ring.samples[slot, 1]


# --- history ---------------------------------------------------------------------------------------------------------


@realtime
def append(ring: Ring, block: NDArray[np.float32]) -> None:
    """Write at most `CHUNK` samples and publish them; the oldest are overwritten, read or not.

    Shape:
        (samples, 2)
    """
    position = ring.marks.written
    copy_in(ring, position, block)
    store(ring.marks, "written", position + block.shape[0])


@realtime
def fetch(ring: Ring, position: int, block: NDArray[np.float32]) -> bool:
    """Read written samples; False if the writer has lapped the reader: then the block is not what was asked for.

    Shape:
        (samples, 2)
    """
    copy_out(ring, position, block)
    return bool(load(ring.marks, "written") + _LAP_MARGIN - position <= ring.samples.shape[0])


# --- queue -----------------------------------------------------------------------------------------------------------


@entry
@realtime
def n_queued(queue: Ring) -> int:
    """Count the samples that are there to be taken."""
    return int(load(queue.marks, "written") - load(queue.marks, "read"))


@entry
@realtime
def n_free(queue: Ring) -> int:
    """Count the samples that fit in."""
    return int(queue.samples.shape[0] - n_queued(queue))


@entry
@realtime
def put(queue: Ring, block: Block) -> int:
    """Queue what fits of a block; returns how much that was.

    Shape:
        (samples, 2)
    """
    n_taken = int(min(block.shape[0], n_free(queue)))
    position = queue.marks.written
    copy_in(queue, position, block[:n_taken])
    store(queue.marks, "written", position + n_taken)
    return n_taken


@entry
@realtime
def take(queue: Ring, block: Block) -> int:
    """Fill a block from its beginning with what is queued; returns how much that was.

    Shape:
        (samples, 2)
    """
    n_taken = int(min(block.shape[0], n_queued(queue)))
    position = queue.marks.read
    copy_out(queue, position, block[:n_taken])
    store(queue.marks, "read", position + n_taken)
    return n_taken


@entry
@realtime
def mark_end(queue: Ring) -> None:
    """Say that nothing will follow what has been put in."""
    store(queue.marks, "end", queue.marks.written)


@entry
@realtime
def end_of(queue: Ring) -> int:
    """Give the length of the whole stream in samples, or `UNKNOWN`."""
    return int(load(queue.marks, "end"))


# --- wet ring --------------------------------------------------------------------------------------------------------


class WetRing(NamedTuple):
    """Holds finished hops by number: hop h holds the samples from `h * hop_length` on.

    The writer can't lap the reader: it gets its input from the reader's side, so it is never more than the stream's
    latency ahead, and the ring holds several times that.

    Attributes:
        samples: of the hop in each slot.
        tags: number of the hop that each slot holds, stored after its samples.
    """

    samples: Annotated[NDArray[np.float32], "slots", "hop_length", 2]
    tags: Annotated[NDArray[np.int64], "slots"]


def make_wet_ring(hop_length: int, n_slots: int) -> WetRing:
    """Allocate a ring in which half the slots hold the silence before the stream's start (hops -1, -2, ...)."""
    tags = np.full(n_slots, _NO_HOP, np.int64)
    before = np.arange(-(n_slots // 2), 0)
    tags[before % n_slots] = before
    return WetRing(np.zeros((n_slots, hop_length, 2), np.float32), tags)


@realtime
def publish_hop(wet: WetRing, hop: int, samples: NDArray[np.float32]) -> None:
    """Store a finished hop and say that it is there.

    Shape:
        (hop_length, 2)
    """
    slot = hop % wet.tags.shape[0]
    atomic_store(wet.tags, slot, _NO_HOP)
    for index in range(samples.shape[0]):
        wet.samples[slot, index, 0] = samples[index, 0]
        wet.samples[slot, index, 1] = samples[index, 1]
    atomic_store(wet.tags, slot, hop)


@realtime
def has_hop(wet: WetRing, hop: int) -> bool:
    """Tell whether a hop is there."""
    return bool(atomic_load(wet.tags, hop % wet.tags.shape[0]) == hop)


@realtime
def run_end(wet: WetRing, position: int, limit: int) -> int:
    """Find the end of the run of finished samples from `position` on; at `limit` or soon behind it the search ends.

    Returns:
        Absolute index of the first sample that is missing; `position` if that one is.
    """
    hop_length = wet.samples.shape[1]
    hop = position // hop_length
    end = position
    while end < limit and has_hop(wet, hop):
        hop += 1
        end = hop * hop_length
    return end
