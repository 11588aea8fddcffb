"""The chain from hop to hop: framing, model, mixing; no threads, no devices, no clock."""
