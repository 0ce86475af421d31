"""What `heldar-mirror up` does: run a supervisord of our own for as long as it is asked to."""
