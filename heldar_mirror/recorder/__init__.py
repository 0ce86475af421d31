"""How one camera is recorded: the process that runs its ffmpeg."""
