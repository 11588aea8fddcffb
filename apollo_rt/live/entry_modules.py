"""Modules whose entries every live run calls: what a first start compiles, in two child processes side by side.

The groups take about equally long, and share little. A module is made when those before it are, so that what the first
sound needs comes first.
"""

from apollo_rt.compiled import kept_code

ENTRY_MODULES = (
    (
        "apollo_rt.compiled.native",
        "apollo_rt.control.parameters",
        "apollo_rt.compiled.records",
        "apollo_rt.stream.mixer",
        "apollo_rt.stream.processor",
        "apollo_rt.live.realtime.callback",
        "apollo_rt.live.endpoints.virtual_device",
        "apollo_rt.live.clock_bridge.callbacks",  # when a device comes back at another rate
    ),
    (
        "apollo_rt.live.realtime.worker",
        "apollo_rt.live.realtime.ring",
        "apollo_rt.live.realtime.gaps",
        "apollo_rt.live.realtime.shared_state",
        "apollo_rt.live.monitoring.stats_reader",
        "apollo_rt.live.monitoring.tap",
        "apollo_rt.plugins.plugin_chains",
    ),
)


def expect_entries() -> None:
    """Let all of them be compiled as soon as the first is found missing."""
    kept_code.expect(*ENTRY_MODULES)
