"""One plugin of a live run: what is known of it, and how it stands for whoever shows it."""

from dataclasses import dataclass, field

from apollo_rt.plugins.plugin_spec import PluginSpec

_SIDES = ("before", "after")


@dataclass
class LivePlugin:
    """One of `LivePlugins`.

    Attributes:
        spec: what the user said.
        side: `plugin_chains.BEFORE` the model or `AFTER` it.
        name: its own among all, which its parameters begin with.
        number: by which the process of the plugins knows it.
        latency: samples, as it says itself.
        arrival: samples by which an impulse really comes out later.
        failure: why it is bypassed for good; empty if it isn't.
        values: of its parameters.
    """

    spec: PluginSpec
    side: int
    name: str
    number: int
    latency: int = 0
    arrival: int = 0
    failure: str = ""
    values: dict[str, float] = field(default_factory=dict)

    @property
    def side_name(self) -> str:
        """In words."""
        return _SIDES[self.side]

    @property
    def place(self) -> str:
        """For people."""
        return f"{self.spec.label} ({self.side_name} the model)"


@dataclass(frozen=True)
class PluginState:
    """A plugin at one moment.

    Attributes:
        name: what its parameters are reached by.
        label: what it is called for people.
        side: `before` or `after` the model.
        latency: samples, constant.
        state: `playing`, `bypassed` by the user, or why it is out.
    """

    name: str
    label: str
    side: str
    latency: int
    state: str
