"""Documentation is held to the code: generated pages are fresh, and every command line in it runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import draw_classes, real_weights

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def command_lines(page: Path) -> list[str]:
    """Return the lines of a page's shell blocks that call a2; pip's lines are run by CI itself."""
    lines = [line for block in BLOCK.findall(page.read_text()) for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if "a2 " in line and not line.startswith("pip ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to run in, with what the pages take for granted: some photos."""
    place = tmp_path_factory.mktemp("docs")
    draw_classes(place, ("photos",), count=2)
    return place


def test_there_are_command_lines() -> None:
    assert len([line for page in PAGES for line in command_lines(page)]) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if command_lines(page)], ids=lambda page: page.name)
def test_command_lines_run(page: Path, place: Path, forked: Path) -> None:
    """In their order, as some use what those before them made."""
    path = os.pathsep.join(map(str, (forked, Path(sys.executable).parent, os.environ["PATH"])))
    env = dict(os.environ, PATH=path, A2_CACHE_DIR=str(place / "cache"), A2_DATA_DIR=str(place / "data"))
    for line in command_lines(page):
        if '"$weights"' in line:  # no network here for torchvision's download
            env["weights"] = str(real_weights("alexnet_features.safetensors"))
        command = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
