"""The restorer inside a Pedalboard-style script."""
