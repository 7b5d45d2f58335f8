"""The ledgers that come with a2 hold what their reports say, and a wrong one is refused in one line."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from jsonschema import Draft202012Validator

from a2cli.errors import SettingsError
from a2cli.probe_invariance.settings import ProbeInvarianceSettings, probes
from a2cli.receptive_field.settings import ReceptiveFieldSettings
from a2cli.replicate.claims import LEDGER_BYTES, TRAININGS, ClaimLedger, ledger_names, read_ledger
from a2cli.replicate.evidence import Evidence, Inputs
from a2cli.replicate.settings import ClaimSettings
from a2cli.settings.presets import resolve
from a2cli.settings.transfer import ExtractFeaturesSettings
from a2cli.visualize_weights.settings import VisualizeWeightsSettings

# What the report printed: training and validation accuracy, by section, and further numbers of its text.
PRINTED = {
    "1.2": {0.6583, 0.5274},
    "1.3": {0.65, 0.52},
    "1.4": {0.67, 0.62, 0.79, 0.64, 0.80, 0.65, 0.13, 0.05, 0.01},
    "1.5": {0.87, 0.69},
    "1.5.1": {0.83, 0.66},
    "1.6": {0.83, 0.66, 0.35},
    "2.1": {0.67, 0.42, 0.55},
    "2.2": {0.70, 0.53},
}
ONE = """
title: One
inputs: {data: {about: images}}
worlds: {plain: {}}
sections: {"1": One}
runs:
  a: {command: train-cnn}
  b: {command: train-cnn, flags: {epochs: 3}}
  probe: {command: probe-invariance, of: a, flags: {changes: [invert]}}
  field: {command: receptive-field, flags: {layers: conv3}}
claims:
  - {id: one, section: "1", claim: So it is., kind: higher, run: a, than: [b]}
  - {id: two, section: "1", claim: So it is., kind: alike, run: a, value: 0.5}
"""


@pytest.fixture(params=ledger_names())
def ledger(request: pytest.FixtureRequest) -> ClaimLedger:
    return read_ledger(request.param)


def test_ledgers_are_as_the_schema_says() -> None:
    schema = json.loads((ROOT / "docs/ledger.schema.json").read_text())
    for name in ledger_names():
        values = yaml.safe_load((ROOT / f"presets/ledgers/{name}.yaml").read_text())
        Draft202012Validator(schema).validate(values)
        values["runs"]["extra"] = {"command": "rm"}
        assert not Draft202012Validator(schema).is_valid(values)


def test_there_are_two() -> None:
    assert ledger_names() == ["comp541", "mit6867"]


def test_every_run_can_be(ledger: ClaimLedger) -> None:
    kinds = {"probe-invariance": ProbeInvarianceSettings, "receptive-field": ReceptiveFieldSettings,
             "visualize-weights": VisualizeWeightsSettings, "extract-features": ExtractFeaturesSettings}  # fmt: skip
    evidence = Evidence(ledger, Inputs.of(ledger, ClaimSettings(weights="w" if "weights" in ledger.inputs else None)))
    used = {name for claim in ledger.claims for name in claim.runs}
    used |= {name for run in list(used) for name in (ledger.runs[run].of, ledger.runs[run].features)} - {""}
    assert used == set(ledger.runs), "each run is evidence for a claim"
    for name, run in ledger.runs.items():
        if run.command in TRAININGS:
            for world in ledger.worlds:
                evidence.training(name, world)
        elif run.command in kinds:
            of = {"run": ["x"]} if run.of else {}
            settings = resolve(kinds[run.command], run.command, run.preset, {**run.flags, **of}).settings
            if isinstance(settings, ProbeInvarianceSettings):
                titles = {probe.title for probe in probes(settings.probe)}
                wanted = {claim.change for claim in ledger.claims if claim.run == name}
                assert wanted <= titles, "a claim on a change that is not tried would stay open for ever"


def test_claims_are_in_the_order_of_their_sections(ledger: ClaimLedger) -> None:
    places = [list(ledger.sections).index(claim.section) for claim in ledger.claims]
    assert places == sorted(places)
    assert set(places) == set(range(len(ledger.sections))), "each section has a claim"


def test_every_number_of_the_report_is_a_claim() -> None:
    ledger = read_ledger("comp541")
    found: dict[str, set[float]] = {}
    for claim in ledger.claims:
        if claim.printed is not None:
            found.setdefault(claim.section, set()).add(claim.printed)
            assert f"{100 * claim.printed:g}" in claim.claim or f"{claim.printed:g}" in claim.claim, claim.id
    assert found == PRINTED
    assert len(ledger.claims) >= 60


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("run: a, than: [b]", "run: c, than: [b]", "claim one: unknown run 'c'"),
        ("than: [b]", "than: [c]", "claim one: unknown run 'c'"),
        ("id: two", "id: one", "claim one is there twice"),
        (", than: [b]", "", "claim one: higher needs 'than'"),
        (", value: 0.5", "", "claim two: alike needs 'than' or 'value'"),
        ("value: 0.5", "value: 0.5, than: [b]", "claim two: alike needs 'than' or 'value'"),
        ("kind: alike", "kind: same", "claim two: kind: "),
        ("kind: alike", "kind: number", "claim two: number needs 'printed'"),
        ('"1": One', '"2": One', "claim one: unknown section '1'"),
        ("value: 0.5", "value: 0.5, weight: 0", "claim two: weight: "),
        ("value: 0.5", "value: .nan", "claim two: value: "),
        ("value: 0.5", "value: 0.5, wordls: [plain]", "claim two: wordls: "),
        ("value: 0.5", "value: 0.5, worlds: [plane]", "claim two: unknown world 'plane'; did you mean 'plain'?"),
        ("value: 0.5", "value: 0.5, base: b, over: b", "claim two: has 'base' and 'over'"),
        ("run: a, value", "run: probe, value", "claim two: of a probe it needs"),
        ("run: a, value", "run: field, value", "claim two: validation is not measured of receptive-field"),
        ("value: 0.5", "value: 0.5, measure: fall, change: invert", "claim two: invert is not measured of train-cnn"),
        ("of: a, ", "", "run probe: probe-invariance needs 'of'"),
        ("of: a, ", "of: field, ", "run probe: of: field is no training"),
        ("command: train-cnn}", "command: train-cnn, of: b}", "run a: train-cnn takes no 'of'"),
        ("command: train-cnn}", "command: rm}", "runs: a: command: "),
        ("command: train-cnn}", "command: train-cnn, weights: true}", "run a: takes weights"),
        ("command: train-cnn}", "command: train-cnn, input: faces}", "run a: takes faces"),
        ("  b: {", "  a: {", "a is set twice"),
        ("worlds: {plain: {}}", "worlds: {}", "worlds: "),
        ("title: One", "title: One\npages: {p: {title: P, sections: []}}", "pages: p: sections: "),
        ("title: One", "title: One\npages: {p: {title: P, sections: ['2']}}", "pages: unknown section '2'"),
        ("title: One", "title: One\npages: {p: {title: P, sections: ['1', '1']}}", "pages: section 1 is on 2 pages"),
        (
            "title: One",
            "title: One\npages: {../p: {title: P, sections: ['1']}}",
            "pages: '../p': expected a file's name",
        ),
        ('"1": One}', '"1": One, "2": Two}\npages: {p: {title: P, sections: ["1"]}}', "pages: section 2 is on no page"),
        ("title: One", "title: &x One", ""),
        ("title: One", "title: One\nabout: [*x]", "ledger.yaml: "),
        ("title: One", "title: One\nabout: {a: {a: {a: {a: {a: {a: {a: 1}}}}}}}", "lists within lists"),
        ("title: One", "title: One\n# " + "x" * LEDGER_BYTES, "a ledger is at most"),
        ("title: One", "title: One\nschema_version: 2", "schema_version: "),
        ("claims:", "claims: []\nothers:", "claims: "),
    ],
)
def test_a_wrong_ledger(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.yaml"
    assert ONE.count(old)
    path.write_text(ONE.replace(old, new, 1))
    if not words:  # an anchor that nothing refers to
        assert read_ledger(str(path)).title == "One"
        return
    with pytest.raises(SettingsError) as raised:
        read_ledger(str(path))
    assert "ledger.yaml: " in str(raised.value) and words in str(raised.value)
    assert "\n" not in str(raised.value)
