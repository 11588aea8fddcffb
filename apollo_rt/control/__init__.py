"""Control changes values while music plays: parameters, presets, and the one table of commands.

Help, docs, MIDI, socket and screen are made from its rows, so that nothing is said twice. It knows no engine: what
commands act upon is `Controllable`.
"""
