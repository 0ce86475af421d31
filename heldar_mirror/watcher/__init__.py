"""The watcher: it follows the table, revives failed programs, ends stalls and publishes the report."""
