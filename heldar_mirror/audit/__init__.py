"""This package finds out what recordings hold: it reads the packets of an mp4 file."""
