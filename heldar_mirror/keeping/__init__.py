"""How a child process of the watcher is kept running."""
