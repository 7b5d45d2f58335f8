"""The loop, optimizers, schedulers, and one training run in one directory."""
