"""Audio devices are found by name and opened: PortAudio, and the ends of a sound server.

A device becomes a `Driver` of `live.endpoints`, and nothing here knows the engine. `sounddevice` is imported in one
module, late.
"""
