"""Another program with MIDI, `midi_desk.py NAME [PORT]`: a port each way as a desk's driver has them, or one to PORT.

It talks as `control.midi.host` does. In a process of its own, for JACK's library may crash when a port is closed.
"""

import os
import sys
import time

import rtmidi

from apollo_rt.control.midi import port
from apollo_rt.control.midi.host import MidiHost


class DeskPort:
    """Its ports."""

    def __init__(self, name, wanted=None):
        api = port._api(rtmidi)
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
            side.close_port()
            time.sleep(port._SETTLE_S)
            side.delete()


if __name__ == "__main__":
    port = DeskPort(*sys.argv[1:])
    print('{"name": "desk"}', flush=True)
    MidiHost(port, sys.stdin.buffer, sys.stdout.buffer).run()
    port.close()
    os._exit(0)
