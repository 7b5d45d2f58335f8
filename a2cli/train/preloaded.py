"""What a process that trains needs, loaded once by the server that such processes begin as copies of."""

import gc
from importlib import import_module

gc.disable()  # importing makes 200,000 objects and no garbage
# The package of figures sets matplotlib up, so it is imported before the first module that loads it.
for needed in ("a2cli.study.trials", "a2cli.figures", "a2cli.training.image_figures", "yaml"):
    import_module(needed)
gc.freeze()  # no copy searches them again
gc.enable()
