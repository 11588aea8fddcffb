"""The live screen: lays the widgets out, keeps them up to date, and turns keys into commands."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.markup import escape
from textual.widgets import Footer

from apollo_rt.errors import ApolloError
from apollo_rt.live.monitoring.snapshot import Snapshot
from apollo_rt.printable import printable
from apollo_rt.screen.blind_dialog import BlindDialog
from apollo_rt.screen.device_dialog import DeviceDialog, Wanted
from apollo_rt.screen.dialog import PageDialog
from apollo_rt.screen.headline import Headline
from apollo_rt.screen.help_page import help_text
from apollo_rt.screen.latency_bar import LatencyBar
from apollo_rt.screen.learn_dialog import LearnDialog
from apollo_rt.screen.level_meter import LevelMeter
from apollo_rt.screen.message_line import MessageLine
from apollo_rt.screen.model_dialog import ModelDialog
from apollo_rt.screen.palette import INKS, THEMES
from apollo_rt.screen.parameter_panel import AskForValue, ParameterTable, Wish
from apollo_rt.screen.preset_dialog import PresetDialog, Request
from apollo_rt.screen.session import Session
from apollo_rt.screen.spectrum_plot import SpectrumPlot
from apollo_rt.screen.terminal import size_of_the_moment, terminal_to_ourselves
from apollo_rt.screen.value_prompt import ValuePrompt
from apollo_rt.screen.work_panel import WorkPanel

_FRAME_S = 0.1
"""Between two drawings of meters and spectra."""
_FRAMES_PER_TEXT = 5
"""Numbers that change faster can't be read."""


class Monitor(App[None]):
    """Shows a session, and changes it; ends by itself when the session does.

    Args:
        session: of a started engine.
    """

    TITLE = "Apollo RT"
    CSS_PATH = "layout.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "quit", tooltip="stop and leave"),
        Binding("question_mark,f1", "help", "help", key_display="?", tooltip="this page"),
        Binding("b", "switch('bypass')", "bypass", tooltip="hear the input instead, at the same latency"),
        Binding("x", "blind", "blind", tooltip="a blind test: ten rounds, is X the input or the restoration?"),
        Binding("d", "switch('delta')", "delta", tooltip="hear only what the model changed"),
        Binding("a", "swap", "A/B", tooltip="compare two sets of parameters: hear the other one"),
        Binding("p", "presets", "presets", tooltip="load, save and remove presets"),
        Binding("o", "devices", "devices", tooltip="choose another input or output"),
        Binding("n", "models", "net", tooltip="choose another model"),
        Binding("l", "learn", "learn", tooltip="let a MIDI controller move the chosen parameter"),
        Binding("m", "messages", "log", tooltip="everything that was said"),
        Binding("t", "theme", "theme", show=False, tooltip="dark or light"),
        Binding("left_square_bracket", "mix(-1)", "less", show=False, key_display="[", tooltip="less restoration"),
        Binding("right_square_bracket", "mix(1)", "more", show=False, key_display="]", tooltip="more restoration"),
        Binding("ctrl+c,ctrl+q", "leave", "quit", show=False, priority=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-usual"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-normal"), (36, "-tall")]
        self._session = session
        self._slot = "A"
        self._n_frames = 0
        self._frame_s = time.monotonic()
        # Kept, not queried: the timer may fire before the first and after the last moment of the screen's tree.
        self._headline, self._spectrum, self._levels = Headline(), SpectrumPlot(), LevelMeter()
        self._table = ParameterTable(session.controls.rows, session.controls.get)
        self._work, self._latency, self._messages = WorkPanel(), LatencyBar(), MessageLine()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Inks for the moment before a theme of ours is set."""
        return {f"ink-{ink}": "white" for ink in INKS}

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self._headline
        yield self._spectrum
        yield Horizontal(self._table, Vertical(self._levels, self._work, id="right"), id="middle")
        yield self._latency
        yield self._messages
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to refresh."""
        self._table.border_title = "parameters"
        self._table.focus()
        self._draw()
        self.set_interval(_FRAME_S, self._draw)

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """One frame; texts only in some of them."""
        snapshot = self._session.update()
        if self._session.is_over:
            self.exit()
        now_s = time.monotonic()
        elapsed_s, self._frame_s = now_s - self._frame_s, now_s
        self._levels.visible = self._spectrum.visible = not self._session.controls.is_blind
        self._levels.show(snapshot, elapsed_s)
        if self._spectrum.visible and self._spectrum.display and self._spectrum.size.height:
            self._spectrum.show(self._session.spectra(), elapsed_s)
        if self._n_frames % _FRAMES_PER_TEXT == 0:
            self._draw_texts(snapshot)
        self._n_frames += 1

    def _draw_texts(self, snapshot: Snapshot) -> None:
        session = self._session
        model = f"{session.model_name} {snapshot.tier}".rstrip()
        source, target = session.end_names
        source = snapshot.radio.heading if snapshot.radio else source
        self._headline.show((source, target), model, self._slot, self._state(snapshot))
        self._work.show(snapshot)
        self._latency.show(snapshot.latency, snapshot.clocks, snapshot.radio)
        self._messages.quiet = snapshot.scheduling
        self._messages.repaint()
        preset = session.controls.current_preset()
        title = f"parameters, preset {escape(printable(preset))}" if preset else "parameters"
        if self._table.border_title != title:
            self._table.border_title = title
        self._table.repaint()  # MIDI, the socket or a preset's file may have moved one
        if texts := session.take_messages():
            self._messages.add(texts)

    def _state(self, snapshot: Snapshot) -> tuple[str, str]:
        """State of what is heard, in words, and its ink."""
        values = {row.name: self._session.controls.get(row.name) for row in self._session.controls.rows()}
        if snapshot.device_state.startswith(("waiting", "resting")):
            return snapshot.device_state.upper(), "hot"
        if snapshot.radio and not snapshot.radio.connected and not snapshot.radio.buffered_s:
            return "WAITING FOR THE STATION", "hot"
        if self._session.controls.is_blind:
            return "BLIND TEST", "accent"
        if values.get("bypass"):
            gain_db = self._session.controls.bypass_gain_db
            return f"BYPASS: the input, {gain_db:+.1f} dB" if abs(gain_db) >= 0.05 else "BYPASS: the input", "warm"
        if snapshot.tier == "dry":
            return "TOO MUCH LOAD: the input", "hot"
        if values.get("delta"):
            return "DELTA: only the changes", "restored"
        return "RESTORING", "good"

    # --- what is done ------------------------------------------------------------------------------------------------

    def run_command(self, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Run a command and show what comes of it; None if it can't be done, which is said."""
        try:
            reply = self._session.commands.run(name, arguments)
        except (ApolloError, ValueError) as error:
            self.notify(printable(str(error).splitlines()[0]), severity="error", timeout=6.0, markup=False)
            return None
        self._draw_texts(self._session.update())
        return reply

    def on_wish(self, wish: Wish) -> None:
        """A parameter is moved."""
        self.run_command(wish.command, wish.arguments)

    def on_ask_for_value(self, asked: AskForValue) -> None:
        """A value is typed."""
        if isinstance(self.screen, ValuePrompt):
            self.screen.add(asked.text)
            return
        row = asked.row

        def take(value: float | None) -> None:
            if value is not None:
                self.run_command("set", {"name": row.name, "value": value})

        self.push_screen(ValuePrompt(row, self._session.controls.get(row.name), asked.text), take)

    def action_leave(self) -> None:
        """Stop and leave."""
        self._session.stop()
        self.exit()

    def action_switch(self, name: str) -> None:
        """Turn a switch on or off."""
        self.run_command("toggle", {"name": name})

    def action_mix(self, n_steps: int) -> None:
        """Move the mix."""
        self.run_command("change", {"name": "mix", "steps": n_steps})

    def action_blind(self) -> None:
        """Ten rounds: does anybody hear the difference?"""
        if self.run_command("begin_blind_test") is not None:
            self.push_screen(BlindDialog(self._session.commands.run))

    def action_swap(self) -> None:
        """Hear the other settings."""
        reply = self.run_command("swap_settings")
        if reply:
            self._slot = reply["slot"]
            self._draw_texts(self._session.update())

    def action_presets(self) -> None:
        """Load, save, remove."""
        reply = self.run_command("presets")
        if reply is None:
            return

        def take(request: Request | None) -> None:
            if request and self.run_command(request[0], {"name": request[1]}) is not None:
                done = {"load_preset": "loaded", "save_preset": "saved", "delete_preset": "removed"}[request[0]]
                self.notify(f"preset {request[1]} {done}", markup=False)

        self.push_screen(PresetDialog(reply["presets"], reply["current"]), take)

    def action_devices(self) -> None:
        """Choose input and output; asking a sound server takes a while, so a thread does it."""
        self.run_worker(self._list_devices, thread=True, exclusive=True, group="devices")

    def _list_devices(self) -> None:
        reply = self._try("devices")
        if reply is not None:
            self.call_from_thread(self.push_screen, DeviceDialog(reply), self._go_to)

    def _go_to(self, wanted: Wanted | None) -> None:
        if wanted:
            self.run_worker(lambda: self._try("choose_devices", wanted), thread=True, group="devices")

    def _try(self, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """As `run_command`, from another thread."""
        try:
            return self._session.commands.run(name, arguments)
        except (ApolloError, ValueError) as error:
            text = str(error).splitlines()[0]
            self.call_from_thread(self.notify, printable(text), severity="error", timeout=6.0, markup=False)
            return None

    def action_models(self) -> None:
        """Choose another model."""
        reply = self.run_command("models")
        if reply is None:
            return

        def take(name: str | None) -> None:
            if name and self.run_command("choose_model", {"name": name}) is not None:
                self.notify(f"model {printable(name)} is made ready", markup=False)

        self.push_screen(ModelDialog(reply["models"]), take)

    def action_learn(self) -> None:
        """Bind a controller to the chosen parameter."""
        row = self._table.chosen
        if self.run_command("learn", {"name": row.name}) is None:
            return

        def take(is_bound: bool | None) -> None:
            if is_bound:
                self.notify(f"{row.name} is bound now", markup=False)
            else:
                self.run_command("learn")

        def midi() -> dict[str, Any]:
            return self._session.commands.run("midi")

        def take_moved() -> None:
            self.run_command("learn_moved", {"name": row.name})

        self.push_screen(LearnDialog(row, midi, take_moved), take)

    def action_messages(self) -> None:
        """Read what was said."""
        lines = [f"[$ink-faint]{said.clock}[/] {escape(printable(said.text))}" for said in self._messages.said]
        self.push_screen(PageDialog("log", "\n".join(lines) or "no trouble so far"))

    def action_theme(self) -> None:
        """Dark or light."""
        names = [theme.name for theme in THEMES]
        self.theme = names[1 - names.index(self.theme)]

    def action_help(self) -> None:
        """All keys."""
        text = help_text(self.BINDINGS, ParameterTable.BINDINGS, self._session.controls.rows())
        self.push_screen(PageDialog("help", text))


def run_monitor(session: Session) -> None:
    """Show the screen until the session is over."""
    with terminal_to_ourselves(), size_of_the_moment():
        Monitor(session).run()
