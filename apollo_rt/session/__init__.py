"""A session is one live run from its options to its end: what plays into what, who controls it, what is said.

Options arrive here as values, parsed. What may fail is tried before a device is opened, and all that was opened is
closed in turn.
"""
