"""A source and a sink in memory, that break when a test says so."""

import time

import numpy as np

from apollo_rt.errors import AudioFileError


class MemoryReader:
    """A source in memory; optionally it breaks off, or takes its time."""

    def __init__(self, samples, error_at=None, delay_s=0.0):
        self.samples, self.position, self.error_at, self.delay_s = samples, 0, error_at, delay_s

    def read(self, n_samples):
        time.sleep(self.delay_s)
        if self.error_at is not None and self.position >= self.error_at:
            raise AudioFileError("song.mp3: broken off")
        part = self.samples[self.position : self.position + n_samples]
        self.position += len(part)
        return part


class MemoryWriter:
    """A sink in memory; optionally the disk is full."""

    def __init__(self, error_at=None):
        self.parts, self.state, self.error_at = [], "open", error_at

    def write(self, samples):
        assert self.state == "open"
        assert samples.dtype == np.float32
        self.parts.append(samples)
        if self.error_at is not None and sum(map(len, self.parts)) >= self.error_at:
            raise AudioFileError("out.wav: the disk is full")

    def commit(self):
        assert self.state == "open"
        self.state = "committed"

    def abort(self):
        assert self.state == "open"
        self.state = "aborted"

    @property
    def samples(self):
        return np.concatenate([np.empty((0, 2), np.float32), *self.parts])
