"""The live screen in the terminal, drawn by Textual; whoever imports this module has imported Textual."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Label, ProgressBar, Static

from apollo_rt.app.live_lines import SILENCE_DB, level_db
from apollo_rt.app.live_session import LiveSession
from apollo_rt.live.snapshot import Snapshot

_METERS_S, _TEXTS_S = 0.1, 0.4
"""How often they are drawn. Drawing is by far the dearest thing in the process beside the model."""

_STYLE = """
Screen { padding: 1 2; }
.title { text-style: bold; height: auto; }
.panels { height: auto; margin: 1 0; }
.panel { border: round $primary; padding: 0 1; height: 13; width: 1fr; }
.levels { width: 44; }
.meter { height: 1; }
.meter Label { width: 8; }
.meter ProgressBar { width: 26; }
.meter Bar { width: 26; }
.messages { color: $warning; height: auto; max-height: 5; }
"""

_CHANNELS = ("input L", "input R", "output L", "output R")
_MESSAGES_SHOWN = 4


class Monitor(App[None]):
    """Meters, work and latency of a session, and the keys that change it; ends by itself when the session does.

    Args:
        session: of a started engine.
    """

    CSS = _STYLE
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "quit"),
        Binding("ctrl+c", "leave", "quit", show=False, priority=True),
        Binding("b", "bypass", "bypass"),
        Binding("left_square_bracket", "mix(-1)", "less restoration", key_display="["),
        Binding("right_square_bracket", "mix(1)", "more", key_display="]"),
    ]

    def __init__(self, session: LiveSession) -> None:
        super().__init__()
        self._session = session
        self._messages: list[str] = []
        self._shown: dict[str, str] = {}
        # Kept, not queried: the timer may fire before the first and after the last moment of the screen's tree.
        self._bars = [ProgressBar(-SILENCE_DB, show_percentage=False, show_eta=False) for _ in _CHANNELS]
        self._texts = {
            name: Static(classes=css, markup=False)
            for name, css in (("mix", ""), ("work", "panel"), ("latency", "panel"), ("messages", "messages"))
        }

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        info, texts = self._session.info, self._texts
        meters = [
            Horizontal(Label(name), bar, classes="meter") for name, bar in zip(_CHANNELS, self._bars, strict=True)
        ]
        levels = Vertical(*meters, texts["mix"], classes="panel levels")
        for panel, title in ((levels, "level"), (texts["work"], "work"), (texts["latency"], "latency")):
            panel.border_title = title
        title = f"{info.input_name} -> {info.output_name}, model {info.model_name}\n{self._session.update().scheduling}"
        yield Static(title, classes="title", markup=False)
        yield Horizontal(levels, texts["work"], texts["latency"], classes="panels")
        yield texts["messages"]
        yield Footer()

    def on_mount(self) -> None:
        """Begin to refresh."""
        self._draw_texts()
        self.set_interval(_METERS_S, self._draw_meters)
        self.set_interval(_TEXTS_S, self._draw_texts)

    def action_leave(self) -> None:
        """Stop and leave."""
        self._session.stop()
        self.exit()

    def action_bypass(self) -> None:
        """Toggle bypass."""
        self._session.commands.run("toggle", {"name": "bypass"})
        self._draw_texts()

    def action_mix(self, steps: int) -> None:
        """Move the mix."""
        self._session.commands.run("change", {"name": "mix", "steps": steps})
        self._draw_texts()

    def _draw_meters(self) -> None:
        snapshot = self._session.update()
        if self._session.is_over:
            self.exit()
        for bar, peak in zip(self._bars, (*snapshot.input.peak, *snapshot.output.peak), strict=True):
            bar.update(progress=level_db(peak) - SILENCE_DB)

    def _draw_texts(self) -> None:
        snapshot = self._session.update()
        self._messages = (self._messages + self._session.take_messages())[-_MESSAGES_SHOWN:]
        self._write("mix", _mix_text(snapshot))
        self._write("work", _work_text(snapshot))
        self._write("latency", _latency_text(snapshot))
        self._write("messages", "\n".join(self._messages))

    def _write(self, name: str, text: str) -> None:
        """Change a text where it is another: a layout of the whole screen costs more than a hop's restoration."""
        if self._shown.get(name) != text:
            self._texts[name].update(text, layout=text.count("\n") != self._shown.get(name, "").count("\n"))
            self._shown[name] = text


def _mix_text(snapshot: Snapshot) -> str:
    state = "BYPASS: you hear the input" if snapshot.bypass else "restoring"
    return f"\nmix      {snapshot.mix:.2f}\n{state}"


def _work_text(snapshot: Snapshot) -> str:
    step, recent = snapshot.step_ms, snapshot.recent
    rows = {
        "tier": snapshot.tier,
        "load": f"{snapshot.load_percent:.0f} %",
        "step p50": f"{step.p50:.2f} ms",
        "step p99": f"{step.p99:.2f} ms",
        "step max": f"{step.max:.2f} ms",
        "deadline misses": str(snapshot.deadline_misses),
        "xruns": str(snapshot.xruns),
        "in the last 10 s:": "",
        "- step p99": f"{recent.step_ms.p99:.2f} ms",
        "- misses, xruns": f"{recent.counts['deadline_misses']}, {recent.xruns}",
        "running": f"{snapshot.elapsed_s:.0f} s",
    }
    return _table(rows)


def _latency_text(snapshot: Snapshot) -> str:
    rows = {term.name: f"{term.ms:.1f} ms" for term in snapshot.latency.terms()}
    rows["sum"] = f"{snapshot.latency.total_ms:.1f} ms"
    if snapshot.clocks:
        rows["clocks apart"] = f"{snapshot.clocks.correction_ppm:+.1f} ppm"
        rows["ring"] = f"{snapshot.clocks.ring_fill:.0f} of {snapshot.clocks.ring_target:.0f}"
    return _table(rows)


def _table(rows: dict[str, str]) -> str:
    return "\n".join(f"{name:<16}{value:>10}" for name, value in rows.items())


def run_monitor(session: LiveSession) -> None:
    """Show the screen until the session is over."""
    with _terminal_to_ourselves():
        Monitor(session).run()


@contextmanager
def _terminal_to_ourselves() -> Iterator[None]:
    """Keep C libraries from the screen: Textual draws on stderr, where ALSA also reports every underrun."""
    if sys.__stderr__ is None:
        yield
        return
    sys.__stderr__.flush()
    before, nowhere = sys.__stderr__, os.open(os.devnull, os.O_WRONLY)
    screen = os.fdopen(os.dup(before.fileno()), "w", encoding=before.encoding)
    os.dup2(nowhere, before.fileno())
    sys.__stderr__ = screen  # type: ignore[misc]  # this is where Textual looks for its terminal
    try:
        yield
    finally:
        sys.__stderr__ = before  # type: ignore[misc]
        screen.flush()
        os.dup2(screen.fileno(), before.fileno())
        screen.close()
        os.close(nowhere)
