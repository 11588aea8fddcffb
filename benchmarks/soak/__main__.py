"""The soak: hours of random faults from a seed, on virtual devices or (`--server`) on a real sound server.

python -m benchmarks.soak --hours 1               # virtual hours; ten times faster than real time
python -m benchmarks.soak --server --hours 0.5    # real time, a private PulseAudio server, the model that ships
"""

import sys

import click

from benchmarks.soak.sound_server import run_on_server
from benchmarks.soak.virtual import run


@click.command()
@click.option("--hours", type=click.FloatRange(0.0, min_open=True), default=1.0, show_default=True, help="Of sound.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the schedule.")
@click.option(
    "--speed", type=click.FloatRange(1.0), default=10.0, show_default=True, help="Of virtual devices' clocks."
)
@click.option("--server", is_flag=True, help="On a private PulseAudio server, in real time.")
def main(hours: float, seed: int, speed: float, server: bool) -> None:
    """Hours of random faults; the exit code is 1 if one of them was heard as a click, moved the latency or leaked."""
    sys.exit(not (run_on_server(hours, seed) if server else run(hours, seed, speed)))


if __name__ == "__main__":
    main()
