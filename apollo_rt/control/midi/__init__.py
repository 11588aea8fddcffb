"""A MIDI desk controls a run: messages in, bindings, soft take-over, feedback out.

python-rtmidi runs in a process of its own, so that a driver which hangs or dies never reaches the music. Every message
ends in a command or a parameter of `control`.
"""
