"""Pretrained networks: `a2 extract-features`, what is kept of activations, fine-tuning in stages, probes."""
