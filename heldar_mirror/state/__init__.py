"""What lies in the state directory."""
