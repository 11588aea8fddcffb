"""Music files in and out."""
