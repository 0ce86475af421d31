"""The watcher: it follows the table, revives failed programs and publishes the report."""
