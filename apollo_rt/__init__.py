"""Apollo RT: live restoration of music that a lossy codec damaged."""
