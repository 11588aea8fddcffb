"""Networks in PyTorch: the causal restorer, the level net, the published Apollo, and their checkpoints.

A net of ours streams: frames and a state in, frames and a state out. It knows nothing of data, losses or runs.
"""
