"""Intervals of accuracies and means, and verdicts on pairs of contenders over seeds."""
