"""A control page, or a program on this machine, sends commands through a WebSocket.

Nobody is listened to without the token, the right origin and the right host name. Every message ends in a command of
`control`, and its errors go back as words.
"""
