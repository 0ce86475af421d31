"""Bringing back to the primary what only the mirror has."""
