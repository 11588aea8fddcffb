"""One step of the trained net with the shapes of the model contract: no batch, no time, states as plain tensors."""

import torch
from torch import Tensor, nn

from training.nets.model import Restorer


class StepModule(nn.Module):
    """`spectrum`, `carrier` and states of one frame in; `restored` and the next states out.

    Args:
        net: the trained net; its forward path is called as it is, for one frame.
    """

    def __init__(self, net: Restorer) -> None:
        """Keep the net."""
        super().__init__()
        self.net = net

    def initial_state(self) -> list[Tensor]:
        """Zeros: (1,) running power, then (n_past_frames, bands, width) of each layer."""
        return [tensor[0] for tensor in self.net.initial_state(1)]

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the right shapes, for tracing."""
        frame = torch.randn(2, self.net.config.framing.n_bins, 2, generator=torch.Generator().manual_seed(0))
        return frame, frame.flip(0), *self.initial_state()

    def forward(self, spectrum: Tensor, carrier: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Restore one frame.

        Shape:
            (2, bins, 2), (2, bins, 2), states -> (2, bins, 2), states
        """
        restored, next_state = self.net(spectrum[None, None], carrier[None, None], [tensor[None] for tensor in state])
        return restored[0, 0], *(tensor[0] for tensor in next_state)
