"""What Heldar's database says."""
