"""A radio is heard live: a stream without an end is decoded ahead, held at a reserve, and found again when it is lost.

All of it runs in threads beside the audio path, which sees a queue of samples. What a server does is covered and
counted, never raised, until it is given up.
"""
