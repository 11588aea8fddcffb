"""A plugin for one channel, twice: one for the left, one for the right, set alike; they don't hear each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class BothSides:
    """Stands where a plugin for two channels would.

    Args:
        left: what is asked for parameters.
        right: another one of its kind.
    """

    _left: Any
    _right: Any

    def __init__(self, left: Any, right: Any) -> None:
        self.__dict__.update(_left=left, _right=right)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._left, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._left, name, value)
        setattr(self._right, name, value)

    def process(self, samples: NDArray[np.float32], *arguments: Any, **named: Any) -> NDArray[np.float32]:
        """As a plugin's own.

        Shape:
            (2, samples)
        """
        sides = zip((self._left, self._right), samples, strict=True)
        return np.stack([plugin.process(side, *arguments, **named) for plugin, side in sides])

    def reset(self) -> None:
        """Both forget what they heard."""
        self._left.reset()
        self._right.reset()
