"""A network stream comes as bytes: addresses, HTTP, titles between the bytes, playlists.

Nothing is asked of the network but what the user named, or what a playlist or a server that he named leads to; local
files are never reached from there. Nothing here knows what audio is.
"""
