"""The commands. Each parses its arguments, makes one call and prints the result."""
