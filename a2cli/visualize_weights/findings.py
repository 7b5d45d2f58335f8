"""What was seen of one network, for its figures and its part of the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from a2cli.visualize_weights.inspected import InspectedNetwork
from a2cli.visualize_weights.random_baseline import Spectra
from a2cli.visualize_weights.results import Frame, LayerWeights, UnitView
from a2cli.visualize_weights.settings import ViewName, ViewSettings
from a2cli.visualize_weights.unit_figures import Excited


@dataclass
class NetworkFindings:
    """One network with all that is drawn of it."""

    viewed: InspectedNetwork
    layers: list[LayerWeights] = field(default_factory=list)
    spectra: Mapping[str, Spectra] = field(default_factory=dict)
    units: list[UnitView] = field(default_factory=list)
    excited: list[Excited] = field(default_factory=list)
    film: list[tuple[Frame, Tensor]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def shows(self, view: ViewName, settings: ViewSettings) -> bool:
        return view in settings.show and view not in self.skipped
