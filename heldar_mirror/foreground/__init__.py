"""How `heldar-mirror up` runs a supervisord of our own."""
