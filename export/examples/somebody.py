"""Somebody else's model, and the thirty lines that make a model file of it.

    python -m export.examples.somebody --out somebody.onnx && apollo-rt live --model somebody.onnx

`DullnessRemover` stands for a net from elsewhere: trained elsewhere, with shapes and scales of its own. Nothing of ours
is in it. It has a recurrent memory, gives a gain per band, and learns in seconds to undo a dull equaliser.
"""

from pathlib import Path

import click
import torch
from torch import Tensor, nn

from apollo_rt.config import Framing

N_BINS, N_BANDS, N_HIDDEN = 513, 27, 24


class DullnessRemover(nn.Module):
    """Their net: a mono magnitude spectrum of full scale 1, batch first, and a GRU; out comes a gain per bin."""

    spread: Tensor

    def __init__(self) -> None:
        """Bands of equal width; what is above the last one is left alone."""
        super().__init__()
        spread = torch.eye(N_BANDS).repeat_interleave(N_BINS // N_BANDS, 1)
        self.register_buffer("spread", torch.nn.functional.pad(spread, (0, N_BINS - spread.shape[1])))
        self.memory = nn.GRUCell(N_BANDS, N_HIDDEN)
        self.head = nn.Linear(N_HIDDEN, N_BANDS)

    def forward(self, magnitude: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 513), (batch, 24) -> gains (batch, 513), (batch, 24)."""
        bands = magnitude @ self.spread.T / (N_BINS // N_BANDS)
        hidden = self.memory(torch.log(bands + 1e-4), hidden)
        return 1 + torch.relu(self.head(hidden)) @ self.spread, hidden


def train(net: DullnessRemover, n_steps: int = 60) -> float:
    """Their training, here in seconds: noise through an equaliser that falls by 12 dB; returns the last loss."""
    torch.manual_seed(0)
    dullness = torch.logspace(0, -0.6, N_BINS)
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    loss = torch.zeros(())
    for _ in range(n_steps):
        bright = torch.rand(32, 8, N_BINS)
        hidden, loss = torch.zeros(32, N_HIDDEN), torch.zeros(())
        for frame in bright.unbind(1):
            gains, hidden = net(frame * dullness, hidden)
            loss = loss + (torch.log(gains * dullness)).square().mean() / 8
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss.detach())


# --- the adapter: all that is needed to bring such a net here --------------------------------------------------------


class Adapter(nn.Module):
    """`DullnessRemover` as `export.third_party` wants it: one frame, two channels, states by name, no batch."""

    framing = Framing(sample_rate=44_100, hop_length=256, analysis_length=1024)  # what their net was trained on
    takes_carrier = False

    def __init__(self, net: DullnessRemover) -> None:
        """Keep their net as it is."""
        super().__init__()
        self.net = net

    def initial_state(self) -> list[Tensor]:
        """Their memory, without the batch.

        Shape:
            (24,)
        """
        return [torch.zeros(N_HIDDEN)]

    def forward(self, spectrum: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
        """(2, 513, 2), (24,) -> (2, 513, 2), (24,)."""
        scale = 2 / self.framing.analysis_length  # their spectra have full scale 1, ours are plain FFTs
        mono = spectrum.mean(0) * scale
        magnitude = (mono.square().sum(-1) + 1e-12).sqrt()
        gains, hidden = self.net(magnitude[None], hidden[None])
        return spectrum * gains[0][None, :, None], hidden[0]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The model file to write.")
def main(out: Path) -> None:
    """Train their net, adapt it, write a verified model file."""
    from export.third_party import export_restorer

    torch.set_num_threads(1)  # one frame is too short to share
    net = DullnessRemover()
    facts = {"data": "noise through an equaliser", "steps": 60, "loss": train(net)}
    error_db = export_restorer(Adapter(net), out, "somebody", "MIT", training=facts)
    click.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB; graph and PyTorch differ by {error_db:.0f} dB")


if __name__ == "__main__":
    main()
