"""Another program with MIDI, `midi_desk.py NAME [PORT]`: a port each way as a desk's driver has them, or one to PORT.

It talks as `control.midi.host` does. In a process of its own, for JACK's library may crash when a port is closed.
"""

import os
import sys

import rtmidi

from apollo_rt.control.midi import port as midi_port
from apollo_rt.control.midi.host import serve


class DeskPort:
    """Its ports."""

    def __init__(self, name, wanted=None):
        api = midi_port._api(rtmidi)
        self.name = name
        self.output, self.input = rtmidi.MidiOut(api, name), rtmidi.MidiIn(api, name)
        if wanted:
            names = self.output.get_ports()
            self.output.open_port(next(index for index, port in enumerate(names) if port.startswith(wanted)))
        else:
            self.output.open_virtual_port("knobs")
            self.input.open_virtual_port("motors")

    def fetch(self):
        event = self.input.get_message()
        return event[0] if event else None

    def send(self, message):
        self.output.send_message(message)

    def ports(self):
        return []

    def close(self):
        for side in (self.output, self.input):
            midi_port.close_client(side)


if __name__ == "__main__":
    serve(lambda: DeskPort(*sys.argv[1:]))
    os._exit(0)
