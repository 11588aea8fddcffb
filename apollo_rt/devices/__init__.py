"""Audio devices by name."""
