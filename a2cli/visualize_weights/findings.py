"""What is found in one network: its result, and beside it what its figures are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from a2cli.visualize_weights.inspected import InspectedNetwork
from a2cli.visualize_weights.results import Frame, ViewedNetwork
from a2cli.visualize_weights.settings import ViewName
from a2cli.visualize_weights.units import Excited


@dataclass(frozen=True)
class NetworkFindings:
    """One network with all that is drawn of it: the parts `shown`, and beside its result the arrays of its figures."""

    viewed: InspectedNetwork
    shown: Sequence[ViewName]
    result: ViewedNetwork
    spectra: Mapping[str, Tensor]
    excited: Sequence[Excited]
    film: Sequence[tuple[Frame, Tensor]]
