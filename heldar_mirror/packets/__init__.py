"""The packets of mp4 files."""
