"""`a2 predict`: what a run's networks answer to images."""
