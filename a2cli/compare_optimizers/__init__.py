"""`a2 compare-optimizers`: contenders tuned alike, judged over seeds, with a verdict on each pair."""
