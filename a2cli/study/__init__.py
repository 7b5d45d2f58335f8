"""Studies: the trials of a comparison or an ablation over seeds, run once each and judged together in one folder."""
