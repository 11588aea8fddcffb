"""A plugin chain is put together from `--before`, `--after` and `--chain`, and loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apollo_rt.config import Framing
from apollo_rt.plugins.chain_file import read_chain
from apollo_rt.plugins.live_plugin import PluginState
from apollo_rt.plugins.live_plugins import LivePlugins
from apollo_rt.plugins.plugin_spec import parse_spec


@dataclass(frozen=True)
class ChainOptions:
    """Wishes of the user for plugins.

    Attributes:
        before: what `--before` says, in the order of the signal; so `after`.
        after: see `before`.
        file: a chain file; its plugins lie nearer to the input than those of the options.
    """

    before: Sequence[str] = ()
    after: Sequence[str] = ()
    file: Path | None = None

    @property
    def names_plugins(self) -> bool:
        """Whether there is anything to load."""
        return bool(self.before or self.after or self.file)


def open_plugins(options: ChainOptions, framing: Framing, pace: bool) -> LivePlugins | None:
    """Load the plugins of a live run.

    Args:
        options: which.
        framing: the model's.
        pace: the run keeps real time.

    Returns:
        None where none are wanted.

    Raises:
        PluginError: one of them can't be had.
        ControlError: the chain file can't be read.
    """
    first, last = read_chain(options.file) if options.file else ([], [])
    first = first + [parse_spec(text) for text in options.before]
    last = last + [parse_spec(text) for text in options.after]
    if not first and not last:
        return None
    return LivePlugins(first, last, framing.sample_rate, framing.hop_length, pace)


def plugin_line(state: PluginState, sample_rate: int) -> str:
    """One plugin: `after: Limiter, 5.0 ms, playing; parameters limiter.*`."""
    latency_ms = state.latency / sample_rate * 1e3
    return f"{state.side}: {state.label}, {latency_ms:.1f} ms, {state.state}; parameters {state.name}.*"
