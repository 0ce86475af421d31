"""Running a supervisord of our own for `heldar-mirror up`."""
