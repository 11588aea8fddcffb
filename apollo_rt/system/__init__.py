"""The operating system's processes, threads and priorities: children, guarded threads, real-time scheduling.

Nothing here knows what runs in them. What a system does not allow is left out, and the answer says so.
"""
