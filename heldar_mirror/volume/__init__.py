"""Reading, proving, marking and removing what is on the mirror's volume."""
