"""`apollo-rt plugins`: what a plugin is called, how late it is, and what can be set."""

import click

from apollo_rt.console.say import say


@click.command(short_help="Show latency and parameters of plugins.")
@click.argument("plugins", nargs=-1, required=True, metavar="PLUGIN...")
def plugins(plugins: tuple[str, ...]) -> None:
    """Load each PLUGIN as --before and --after of live take it, and show its latency and parameters.

    PLUGIN is like "HighpassFilter(cutoff_frequency_hz=30)" or "/path/Limiter.vst3?threshold_db=-1".
    """
    # Late, because numba would make --help wait.
    from apollo_rt.config import Framing
    from apollo_rt.session.plugin_chain import ChainOptions, open_plugins, plugin_line

    framing = Framing()
    loaded = open_plugins(ChainOptions(after=plugins), framing, pace=False)
    assert loaded is not None
    try:
        for state in loaded.states():
            say(plugin_line(state, framing.sample_rate))
            for row in loaded.rows():
                if row.name.startswith(f"{state.name}."):
                    say(f"  {row.name} = {row.text(row.default)}, {row.bounds_text}: {row.description}")
        for line in loaded.notes():
            say(f"note: {line}")
    finally:
        loaded.stop()
