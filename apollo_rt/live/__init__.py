"""Rings, callback, worker and the engine that joins them."""
