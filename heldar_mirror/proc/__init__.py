"""What the kernel's /proc says of mounts, processes and open files."""
