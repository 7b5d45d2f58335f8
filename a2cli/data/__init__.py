"""Where images come from, packing, splits, augmentation, identical and nearly identical images."""
