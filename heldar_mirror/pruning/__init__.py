"""The pruner: which segments are deleted, when, and how."""
