"""Which segments go, and when."""
