"""State that a live run leaves for the next one: devices, values, tier; a file of options, as `--config` takes them.

    # state of the last live run
    input: Loopback
    output: Headphones
    mix: 0.8

Switches (bypass, delta) tell how one listens, and are not kept; nor is what a plugin is set to.
"""

import time
from pathlib import Path
from typing import Any

from apollo_rt.control.parameter_table import PARAMETERS
from apollo_rt.control.yaml_file import write_mapping
from apollo_rt.errors import ControlError
from apollo_rt.own_folders import own_folder
from apollo_rt.session.run_options import LiveOptions
from apollo_rt.session.running_session import LiveSession

_PERIOD_S = 2.0


def state_path() -> Path:
    """File of the state; it need not be there."""
    return own_folder("data") / "state.yaml"


class StateKeeper:
    """Keeps the state of a run on the disk, as long as it is polled, and at its end.

    Args:
        options: of the run.
        session: of the run.
        path: None: `state_path`.
    """

    def __init__(self, options: LiveOptions, session: LiveSession, path: Path | None = None) -> None:
        self._options, self._session, self._path = options, session, path or state_path()
        self._kept: dict[str, Any] | None = None
        self._next_s = 0.0

    def poll(self) -> list[str]:
        """Write what has changed, every two seconds at most; a line says, once, that it can't be."""
        if time.monotonic() < self._next_s:
            return []
        self._next_s = time.monotonic() + _PERIOD_S
        return self.keep()

    def keep(self) -> list[str]:
        """Write what has changed; a line says, once, that it can't be."""
        state = self._state()
        if state == self._kept:
            return []
        try:
            write_mapping(self._path, state, "state of the last live run; live --fresh ignores it")
        except ControlError as error:
            self._next_s = float("inf")
            return [f"the next run begins without what was set in this one: {error}"]
        self._kept = state
        return []

    def _state(self) -> dict[str, Any]:
        options, session, sink = self._options, self._session, self._options.sink
        source, target = session.devices.wanted.words if session.devices else (None, None)
        state: dict[str, Any] = {"output": target or options.target}
        if sink.is_wanted:
            state |= {"sink": sink.name, "app": list(sink.apps), "all": sink.takes_all}
        else:
            state["input"] = source or options.source
        values = {
            row.name.replace("_", "-"): round(session.controls.get(row.name), 6)
            for row in PARAMETERS
            if not row.is_switch
        }
        return {
            name: value
            for name, value in {**state, "tier": options.tier, **values}.items()
            if value not in (None, [], False)
        }
