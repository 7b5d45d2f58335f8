"""A run directory: the only writer there, and its checkpoints."""
