"""What each camera's mirror is doing."""
