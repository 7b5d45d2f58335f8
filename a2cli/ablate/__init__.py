"""`a2 ablate`: what each ingredient of a training brings, taken away alone and on average over orders."""
