"""Settings that cannot act together, found before anything is trained without torch; and what a command would do."""

from a2cli.checks.ablation import check_ablation, ingredients_of, plan_ablation
from a2cli.checks.comparison import (
    check_compare,
    check_comparison_options,
    check_trial_options,
    plan_compare,
    seconds_of,
)
from a2cli.checks.fields import check_receptive_field
from a2cli.checks.invariance import check_probe, plan_probe
from a2cli.checks.prediction import check_prediction
from a2cli.checks.training import check_training, plan_training
from a2cli.checks.transfer import check_extraction, plan_extraction
from a2cli.checks.weights import check_view, plan_view

__all__ = [
    "check_ablation",
    "check_compare",
    "check_comparison_options",
    "check_extraction",
    "check_prediction",
    "check_probe",
    "check_receptive_field",
    "check_training",
    "check_trial_options",
    "check_view",
    "ingredients_of",
    "plan_ablation",
    "plan_compare",
    "plan_extraction",
    "plan_probe",
    "plan_training",
    "plan_view",
    "seconds_of",
]
