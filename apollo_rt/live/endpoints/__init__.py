"""Endpoints call the engine's callback: devices behind one protocol, files, and a virtual device.

It knows `realtime` only: not the engine, and nobody who watches. Files are read and written in threads, with queues
between them and the callback.
"""
