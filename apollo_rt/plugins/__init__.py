"""Pedalboard's effects, VST3 and AU plugins, live: described, loaded, run in their own process, reached by name."""
