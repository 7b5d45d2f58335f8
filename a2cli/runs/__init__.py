"""A run directory: the only writer there, its checkpoints, and figures as files."""
