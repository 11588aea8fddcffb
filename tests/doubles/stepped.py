"""The real callback and the real worker, moved by hand: whatever a test wants to be late is late, to the sample."""

import ctypes
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from apollo_rt.control.parameters import Parameters
from apollo_rt.inference.model import Model
from apollo_rt.latency import FADE_LENGTH, rebuffering_latency
from apollo_rt.live.monitoring.stats_reader import read_stats
from apollo_rt.live.realtime.callback import callback_address
from apollo_rt.live.realtime.lockout import attachment
from apollo_rt.live.realtime.processor_table import processor_table
from apollo_rt.live.realtime.shared_state import make_shared_state
from apollo_rt.live.realtime.tier_switch import N_SLOTS, make_tiers
from apollo_rt.live.realtime.worker import IDLE, work
from apollo_rt.plugins.live_plugins import LivePlugins
from apollo_rt.stream.processor import Processor

PA_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_void_p,
)


class Stepped:
    """A stream between two channels in and two out, or a source and a sink where `channels` says 0."""

    def __init__(
        self,
        model: Model,
        block_size: int = 256,
        *,
        varying: bool = False,
        headroom: int = 256 + FADE_LENGTH,
        channels: tuple[int, int] = (2, 2),
        kept_samples: int = 0,
        lighter: Sequence[Model] = (),
        plugins: LivePlugins | None = None,
        **parameters: float,
    ) -> None:
        framing = model.framing
        self.hop_length = framing.hop_length
        rebuffering = rebuffering_latency(block_size, framing.hop_length, varying)
        plugin_delay = sum(plugins.latencies) if plugins else 0
        self.delay = framing.algorithmic_latency + rebuffering + headroom + plugin_delay
        self.channels = channels
        self.parameters = Parameters(**parameters)
        self.processor = Processor(model)
        values = self.parameters.values
        self.shared = make_shared_state(framing, self.delay, *channels, 2**16, values, kept_samples, plugin_delay)
        self.callback = PA_CALLBACK(callback_address())
        self._attached = attachment(self.shared)
        self.tiers = make_tiers(framing.hop_length, plugins.chains if plugins else None)
        self.processors = [self.processor, *([Processor(model) for model in lighter] or [self.processor])]
        self.processors += [self.processors[-1]] * (N_SLOTS - len(self.processors))
        self.table = processor_table(self.processors)

    def call(self, block: np.ndarray | None, n_samples: int | None = None, flags: int = 0) -> np.ndarray:
        """Call back once; gives what it wrote (noise where it didn't)."""
        n = len(block) if block is not None else n_samples
        out = np.full((n, max(self.channels[1], 1)), np.nan, np.float32)
        source = np.ascontiguousarray(block, np.float32) if block is not None else None
        self.code = self.callback(
            source.ctypes.data if self.channels[0] else None,
            out.ctypes.data if self.channels[1] else None,
            n,
            None,
            flags,
            self.userdata,
        )
        return out

    def work(self, n_tasks: int = 10**9) -> None:
        """Let the worker do so many things, or all there are to do."""
        for _ in range(n_tasks):
            if work(self.shared, self.table, self.tiers, 1) == IDLE:
                return

    def play(self, samples: np.ndarray, sizes: int | Iterable[int] = 256) -> np.ndarray:
        """Send a signal through in blocks, the worker keeping pace."""
        out, position = [], 0
        sizes = itertools.repeat(sizes) if isinstance(sizes, int) else iter(sizes)
        while position < len(samples):
            block = samples[position : position + next(sizes)]
            out.append(self.call(block))
            self.work()
            position += len(block)
        return np.concatenate(out)

    @property
    def userdata(self) -> int:
        """Address of the table of shared state and lockout, as the callback gets it."""
        return self._attached.address

    @property
    def stats(self) -> dict:
        return read_stats(self.shared.stats)
