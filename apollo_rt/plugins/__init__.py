"""Plugins of others (Pedalboard's, VST3, AU) are described, loaded and run before and after the model.

In a live run they have a process of their own, and one that fails or is late is bypassed. Pedalboard is imported in one
module, late.
"""
