"""Mounts, processes and open files, read from Linux's /proc."""
