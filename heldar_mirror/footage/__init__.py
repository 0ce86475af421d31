"""Segments: their names, a camera's list of them, and spans of time."""
