"""What a report's `results` can be: those of one command or another."""

from a2cli.results.ablation import AblationResults
from a2cli.results.comparison import ComparisonResults
from a2cli.results.invariance import InvarianceResults
from a2cli.results.receptive_field import FieldResults
from a2cli.results.training import TrainingResults
from a2cli.results.transfer import FeatureResults
from a2cli.results.weights import WeightResults

Results = (
    TrainingResults
    | FieldResults
    | ComparisonResults
    | AblationResults
    | InvarianceResults
    | FeatureResults
    | WeightResults
)
