"""A driver is what the engine needs of a device."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Clocks:
    """State of two clocks that are held together, at one moment.

    Attributes:
        correction_ppm: by how much faster than its nominal rate the ring between them is read.
        ring_fill: samples held back in the ring between them, smoothed over a second.
        ring_target: how many shall be.
        sample_rate: Hz of these samples, which are as captured.
        resyncs: how often the reader jumped, because the ring had run dry, or was too far from its target.
    """

    correction_ppm: float
    ring_fill: float
    ring_target: float
    sample_rate: int
    resyncs: int


class Driver(Protocol):
    """A clock that calls the compiled callback: PortAudio's stream, or a virtual device.

    Block size and pace are the driver's own settings; the engine reads them.
    """

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def sample_rate(self) -> int:
        """Hz; must be the model's."""

    @property
    def block_size(self) -> int:
        """Samples per callback; the most where they vary."""

    @property
    def varying_block(self) -> bool:
        """Every callback may bring another number of samples."""

    @property
    def input_channels(self) -> int:
        """1 or 2; 0 where the input pointer is NULL and samples come from the source."""

    @property
    def output_channels(self) -> int:
        """1 or 2; 0 where the output pointer is NULL and samples go to the sink."""

    @property
    def device_latency_s(self) -> tuple[float, float]:
        """Latency in seconds that the device reports for input and output, once it is started."""

    @property
    def active(self) -> bool:
        """It calls back."""

    @property
    def finished(self) -> bool:
        """It has been started and came to an end by itself."""

    def start(self, callback_address: int, userdata_address: int) -> None:
        """Open and start; from here on the callback (a `PaStreamCallback`) is called with `userdata_address`."""

    def stop(self) -> None:
        """Stop and close; when this returns no callback runs any more. May be called twice.

        Raises:
            DeviceError: the device does not let go; what the callback uses must stay where it is.
        """


@runtime_checkable
class BridgingDriver(Protocol):
    """A driver that bridges clocks or rates between devices and the engine says this beside the rest."""

    @property
    def conversion_latency_s(self) -> tuple[float, float, float]:
        """Of the ring between two clocks, of the resampler towards the engine, and of the one from it."""

    @property
    def clocks(self) -> Clocks | None:
        """State of two clocks that are held together; None where there is one."""

    @property
    def calls_unevenly(self) -> bool:
        """A device hands over blocks as they come; if not, block sizes vary by a sample at most."""


def conversion_latency_s(driver: Driver) -> tuple[float, float, float]:
    """Of any driver, see `BridgingDriver`."""
    return driver.conversion_latency_s if isinstance(driver, BridgingDriver) else (0.0, 0.0, 0.0)


def clocks_of(driver: Driver) -> Clocks | None:
    """Of any driver, see `BridgingDriver`."""
    return driver.clocks if isinstance(driver, BridgingDriver) else None


def calls_unevenly(driver: Driver) -> bool:
    """Of any driver, see `BridgingDriver`."""
    return driver.calls_unevenly if isinstance(driver, BridgingDriver) else driver.varying_block


def clock_gauges(driver: Driver) -> dict[str, float]:
    """Of two clocks, by the names of `Snapshot.gauges`; nothing where there is one."""
    clocks = clocks_of(driver)
    return {"clock_ring": clocks.ring_fill, "correction_ppm": clocks.correction_ppm} if clocks else {}
