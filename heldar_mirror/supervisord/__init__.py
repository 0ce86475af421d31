"""Configuring, calling and listening to supervisord."""
