"""Who follows the table, starts again what failed, restarts what stalls, and publishes the status."""
