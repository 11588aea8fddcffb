"""The screen shows a live run in the terminal, drawn by Textual.

It is imported late, when a terminal is there. It shows what a `Session` says and calls its commands: it knows no engine
and no device.
"""
