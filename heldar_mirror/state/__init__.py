"""The state directory: launch specs, the programs file, locks, volumes and secrets."""
