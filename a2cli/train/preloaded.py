"""What a process that trains needs, loaded once by the server that such processes begin as copies of."""

import gc
from importlib import import_module

gc.disable()  # importing makes 200,000 objects and no garbage
NEEDED = (
    "a2cli.study.trials",
    "a2cli.figures",
    "a2cli.training.figures",
    "a2cli.training.near_duplicates_figure",
    "yaml",
)
for needed in NEEDED:  # figures first, which set matplotlib up
    import_module(needed)
gc.freeze()  # no copy searches them again
gc.enable()
