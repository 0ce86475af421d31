"""What the recordings hold: the packets of an mp4 file."""
