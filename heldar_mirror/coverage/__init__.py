"""Coverage: when which side has footage, and where Heldar's index and the primary's disk differ."""
