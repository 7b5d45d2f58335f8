"""`a2 probe-invariance`: which changes of the image networks survive, layer by layer, run against run."""
