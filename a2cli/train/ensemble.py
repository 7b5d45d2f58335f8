"""A finished run's networks, asked together: the mean of their probabilities.

B images a batch, C = 3 channels, H x W pixels, K classes.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from a2cli.errors import DataError
from a2cli.models.cards import NOT_PRETRAINED, ModelCard
from a2cli.reports.best import choose, no_network, not_finished
from a2cli.reports.training_results import TrainingResults
from a2cli.runs.directory import CARD, Run
from a2cli.storage import DIGEST_KEY, read_json
from a2cli.training.loop import logits_of


@dataclass(frozen=True)
class Ensemble:
    """A run's networks, their folders and weights, and the first one's card; they share classes and preprocessing.

    `precision` is the arithmetic that they were trained in.
    """

    folders: list[str]
    models: list[nn.Module]
    card: ModelCard
    precision: str
    weights_sha256: list[str]

    @torch.inference_mode()
    def probabilities(self, images: Tensor, device: torch.device) -> Tensor:
        """Return each class's probability (B, K) for images (B, C, H, W) uint8: the mean over the networks.

        Lakshminarayanan, Pritzel & Blundell 2017, section 2.4.
        """
        logits = [logits_of(model, images, self.precision, device) for model in self.models]
        return torch.stack(logits).softmax(dim=2).mean(dim=0)

    @property
    def method(self) -> str:
        if len(self.models) == 1:
            return "the network's softmax"
        return f"the mean of {len(self.models)} networks' probabilities, a deep ensemble (Lakshminarayanan et al. 2017)"

    @property
    def pretrained(self) -> bool | None:
        """Whether the networks' backbone has pretrained weights; None without a backbone."""
        return None if self.card.trunk is None else self.card.trunk.pretrained

    @property
    def warnings(self) -> list[str]:
        """What all who see the answers should know of the networks' weights."""
        trunk = self.card.trunk
        if trunk is None or (trunk.pretrained and not trunk.random):
            return []
        return [f"random weights: {', '.join(trunk.random)}"] if trunk.pretrained else [NOT_PRETRAINED]


def find_ensemble(folder: str, device: torch.device) -> Ensemble:
    """Return the networks of a finished run, ready to answer.

    Raises DataError where it is not finished, trained none, or is damaged.
    """
    root = Path(choose("--run", folder, several=True).folder)
    report = Run.open(root).read_report()
    if report is None or report.status != "done":
        raise not_finished("--run", folder, report)
    if (root / "model").is_dir():
        folders = [root]
    elif isinstance(report.results, TrainingResults):
        folders = [root / result.folder for result in report.results.runs]
    else:
        raise no_network("--run", folder, report)
    loaded = [Run(inner).load_model() for inner in folders]
    cards = [card for _, card in loaded]
    if len({(card.class_names, card.image_size, card.fit, card.value_range) for card in cards}) > 1:
        raise DataError(f"--run {folder}: its networks do not tell the same classes apart on the same kind of images")
    precision = str(report.config.get("precision", "fp32"))
    weights = [read_json(inner / CARD).get(DIGEST_KEY, "") for inner in folders]
    return Ensemble([str(inner) for inner in folders], [m.to(device) for m, _ in loaded], cards[0], precision, weights)
