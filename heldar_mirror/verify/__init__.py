"""Whether the mirror holds what the primary holds."""
