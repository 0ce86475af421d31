"""The recordings of one side, the primary's or the mirror's, read by a child process."""
