"""`a2 receptive-field`: which pixels a unit sees, derived, proven with NaN, weighed by the gradient, drawn."""
