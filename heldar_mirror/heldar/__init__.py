"""Heldar's database: how it is read, and what its rows mean."""
