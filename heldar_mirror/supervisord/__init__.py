"""How supervisord is configured, called and listened to."""
