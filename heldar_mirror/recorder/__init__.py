"""The process of one camera, which runs its ffmpeg."""
