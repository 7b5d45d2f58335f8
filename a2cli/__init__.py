"""A deep-learning lab in one command."""

import os

__version__ = "0.1.0"

# Read by the OpenMP runtime when torch is loaded. Threads that spin while they wait take the core from the thread that
# they wait for: beside one other busy process a training takes several times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
