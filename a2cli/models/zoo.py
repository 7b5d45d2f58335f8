"""Every network by name, built from its card."""

from collections.abc import Callable

import torch
from torch import fx, nn

from a2cli.models.backbones import graph_of, truncate
from a2cli.models.cards import ModelCard, TrunkCard
from a2cli.models.convnet import build_convnet
from a2cli.models.mlp import build_mlp
from a2cli.models.pretrained import Preprocess, Undrawn, build_torchvision, materialize
from a2cli.models.transfer import GridPooling, Transfer, Trunk, build_head
from a2cli.random_streams import Streams
from a2cli.settings.transfer import HeadSettings

BUILDERS: dict[str, Callable[..., nn.Module]] = {"convnet": build_convnet, "mlp": build_mlp}
TRANSFER = "transfer"  # a trunk with a head on it, built from the card of both


def untrained_backbone(card: TrunkCard) -> fx.GraphModule:
    """Return the whole backbone's graph, with random weights; raises SettingsError for what torchvision has not."""
    if card.network is None:
        model = build_torchvision(card.backbone, transform_input=card.transform_input, image_size=card.image_size)
        return graph_of(model, f"--backbone {card.backbone}")
    builder = BUILDERS[card.backbone]
    model = builder(card.network, card.image_size, card.classes, card.mean, card.std, Streams(0))
    return graph_of(model.eval(), f"--backbone {card.backbone}")


def build_trunk(card: TrunkCard) -> Trunk:
    """Return the trunk, its weights yet to be loaded; raises SettingsError for what torchvision does not have."""
    preprocess = Preprocess(card.mean, card.std) if card.network is None else nn.Identity()
    with Undrawn():  # drawing the weights of a whole AlexNet takes as long as training its head
        graph = untrained_backbone(card)
    body = materialize(truncate(graph, [card.node]))
    return Trunk(preprocess, body, GridPooling(card.grid, card.grid_pool))


def build_network(card: ModelCard, streams: Streams) -> nn.Module:
    """Return the network with starting weights; raises KeyError for an architecture that is not in the zoo."""
    if card.trunk is not None and isinstance(card.network, HeadSettings):
        trunk = build_trunk(card.trunk).eval()
        with torch.no_grad():
            shape = trunk(torch.zeros(1, 3, card.image_size, card.image_size)).shape[1:]
        return Transfer(trunk, build_head(card.network, shape, len(card.class_names), streams))
    builder = BUILDERS[card.architecture]
    return builder(card.network, card.image_size, len(card.class_names), card.mean, card.std, streams)
