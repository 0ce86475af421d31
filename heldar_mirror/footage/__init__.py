"""How segments are named, and how time spans are computed with."""
