"""The latency as one bar, stacked of its terms, each with its name and length: in the bar where it fits, else below."""

from apollo_rt.latency import LatencyReport, LatencyTerm
from apollo_rt.live.endpoints.driver import Clocks
from apollo_rt.live.endpoints.live_source import RadioState
from apollo_rt.screen.painted import Line, Painted

_INK_OF = {
    "device input": "term-1", "ring": "term-2", "input resampling": "term-3", "algorithmic": "term-4",
    "rebuffering": "term-5", "headroom": "term-6", "output resampling": "term-7", "device output": "term-8",
}  # fmt: skip


class LatencyBar(Painted):
    """Terms that are nothing are left out."""

    def __init__(self) -> None:
        super().__init__()
        self._report: LatencyReport | None = None

    def show(self, report: LatencyReport, clocks: Clocks | None = None, radio: RadioState | None = None) -> None:
        """Move on.

        Args:
            report: the terms.
            clocks: how two devices' clocks are held together; None where there is one.
            radio: the stream that is heard, which has a reserve and a clock of its own.
        """
        title = f"latency {report.total_ms:.1f} ms"
        if clocks:
            title += f", clocks {clocks.correction_ppm:+.1f} ppm apart"
            title += f", ring {clocks.ring_fill:.0f} of {clocks.ring_target:.0f}"
        if radio and radio.reserve_s:
            title += f", reserve {radio.reserve_s:.2f} s, its clock {radio.correction_ppm:+.0f} ppm apart"
        if title != self.border_title:
            self.border_title = title
        self._report = report
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """The bar, and below it the names that found no room."""
        if self._report is None or self._report.total_s <= 0.0:
            return []
        terms = [term for term in self._report.terms() if term.seconds > 0.0]
        bar: Line = []
        legend: Line = []
        end, total_s = 0, 0.0
        for term in terms:
            begin, total_s = end, total_s + term.seconds
            end = max(round(total_s / self._report.total_s * width), begin)
            text = f"{term.name} {term.ms:.1f}"
            fits = len(text) + 1 <= end - begin
            bar.append((f" {text}".ljust(end - begin) if fits else " " * (end - begin), f"ground on {_ink(term)}"))
            legend += [] if fits else [("■", _ink(term)), (f" {text}  ", "text")]
        return [bar, legend]


def _ink(term: LatencyTerm) -> str:
    return _INK_OF.get(term.name, "faint")
