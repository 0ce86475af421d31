"""What should run for each camera, and what to change so that it does."""
