"""The device picker: which input and which output, while it plays."""

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.markup import escape
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from apollo_rt.printable import printable
from apollo_rt.screen.dialog import Dialog

Wanted = dict[str, str]
"""Arguments of the command `choose_devices`."""


class DeviceDialog(Dialog[Wanted]):
    """Answers with the device to go to.

    Args:
        devices: what the command `devices` replies.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "look_anew", "look for new devices")]

    def __init__(self, devices: Mapping[str, Any]) -> None:
        super().__init__()
        self._devices = devices

    def compose(self) -> ComposeResult:
        """Two lists."""
        box = Vertical(*self._list("input"), *self._list("output"), classes="box")
        box.border_title = "devices"
        box.border_subtitle = "Enter goes there, Tab the other list, r looks anew, Esc closes"
        yield box

    def on_mount(self) -> None:
        """Begin in the first list, at what plays now."""
        lists = list(self.query(OptionList))
        for choices in lists:
            used = [index for index, device in enumerate(self._of(choices.id or "")) if device["is_used"]]
            choices.highlighted = used[0] if used else 0
        if lists:
            lists[0].focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to a device."""
        end = event.option_list.id or ""
        self.dismiss({end: str(self._of(end)[event.option_index]["number"])})

    def action_look_anew(self) -> None:
        """Open the present devices again, which finds those that were plugged in meanwhile."""
        used = {
            end: str(device["number"]) for end in ("input", "output") for device in self._of(end) if device["is_used"]
        }
        if used:
            self.dismiss(used)

    def _of(self, end: str) -> list[dict[str, Any]]:
        return list(self._devices[f"{end}s"])

    def _list(self, end: str) -> list[Static | OptionList]:
        devices = self._of(end)
        if not devices:
            return [Static(f"{end}: {printable(self._devices[end])}, a file, stays", classes="hint", markup=False)]
        options = [
            Option(f"{'▸' if device['is_used'] else ' '} {escape(printable(device['name']))}") for device in devices
        ]
        return [Static(end, classes="hint"), OptionList(*options, id=end)]
