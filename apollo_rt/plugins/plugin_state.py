"""How a plugin of a live run stands, for whoever shows it."""

from dataclasses import dataclass


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
