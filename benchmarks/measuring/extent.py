"""The extent of a run: all that figures need, less (`--short`), or just so much that everything is run (`--quick`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """Sizes of everything.

    Attributes:
        is_quick: nothing that comes out is meant to be a figure.
        micro_rounds: calls of each micro benchmark.
        n_hops: at real cadence, in each row; ten thousand give one event beyond p99.99.
        block_sizes: of the latency from end to end, in samples.
        n_streams: engines and effects at once.
        stream_s: for how long.
        file_s: music in a file.
        virtual_minutes: of the run that shows whether memory grows.
        width_factors: model sizes, as factors of the width of the model that ships.
        starts: of the program, warm.
        is_cold: measure the start after an install, which compiles for a minute.
        n_clips: of the test set, for quality.
        clip_s: how much of each.
        kbps: of their MP3.
    """

    is_quick: bool = False
    micro_rounds: int = 2000
    n_hops: int = 10_400
    block_sizes: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048, 4096)
    n_streams: tuple[int, ...] = (1, 2, 4, 6, 8)
    stream_s: float = 10.0
    file_s: float = 20.0
    virtual_minutes: float = 60.0
    width_factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    starts: int = 5
    is_cold: bool = True
    n_clips: int = 4
    clip_s: float = 10.0
    kbps: tuple[int, ...] = (32, 64)

    @property
    def lists(self) -> dict[str, tuple[float, ...]]:
        """Lists that benchmarks take one by one, by the name of their argument."""
        return {"block_size": self.block_sizes, "n_streams": self.n_streams, "width_factor": self.width_factors}


FULL = Extent()
SHORT = Extent(
    micro_rounds=300, n_hops=2600, block_sizes=(32, 256, 1024, 4096), n_streams=(1, 2, 4), stream_s=5.0, file_s=8.0,
    virtual_minutes=5.0, width_factors=(0.25, 1.0, 4.0), is_cold=False, n_clips=2, kbps=(48,),
)  # fmt: skip
"""For a machine that is not free for long: figures up to p99.9."""
QUICK = Extent(
    is_quick=True, micro_rounds=10, n_hops=170, block_sizes=(256,), n_streams=(1, 2), stream_s=0.5, file_s=2.0,
    virtual_minutes=0.05, width_factors=(0.25,), starts=1, is_cold=False, n_clips=1, clip_s=2.0, kbps=(48,),
)  # fmt: skip
