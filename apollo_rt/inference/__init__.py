"""ONNX Runtime runs a model: its file, the check of it, the session, and which hardware computes.

A file from a stranger is tried in a process of its own before it is used. A step reads and writes buffers that are
bound once.
"""
