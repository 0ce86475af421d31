"""What lies on the mirror's volume, and whether it is the right one."""
