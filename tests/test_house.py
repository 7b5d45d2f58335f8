"""Each package imports only from those before it, and the command answers without the heavy libraries."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PACKAGE = Path(__file__).parents[1] / "a2cli"
PACKAGES = [  # each may import those before it
    "__init__", "text", "errors", "formats", "machine", "versions", "user_folders", "progress", "strict_json",
    "columns", "storage", "settings", "commands", "geometry", "random_streams", "runtime", "reports", "statistics",
    "console", "drawn_sets", "data", "models", "figures", "runs", "command_line", "training", "transfer", "train",
    "study", "receptive_field", "compare_optimizers", "ablate", "probe_invariance", "visualize_weights", "predict",
    "replicate", "manage", "html_report", "check_data", "app", "main", "__main__",
]  # fmt: skip
COMMANDS = PACKAGES[PACKAGES.index("transfer") : PACKAGES.index("app")]
HEAVY = {"torch", "torchvision", "numpy", "matplotlib"}
FILES = sorted(PACKAGE.rglob("*.py"))
LIGHT = [*PACKAGES[1 : PACKAGES.index("random_streams")], "reports", "console", "command_line", "app", "main"]
LIGHT += [
    f"{package}.{name}"
    for package in COMMANDS
    for name in ("settings", "checks", "command", "console", "results")
    if (PACKAGE / package / f"{name}.py").exists()
]


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"a2cli.{alias.name}" for alias in node.names} if node.module == "a2cli" else {node.module}
    return {name for name in found if not name.startswith("a2cli.__")}


def package(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_lead_down(path: Path) -> None:
    for name in imports(path):
        if name.startswith("a2cli."):
            target = name.split(".")[1]
            assert PACKAGES.index(target) <= PACKAGES.index(package(path)), f"{package(path)} imports {name}"


@pytest.mark.parametrize("name", LIGHT)
def test_light_packages_import_nothing_heavy(name: str) -> None:
    """At any depth: a fresh interpreter that imports all of the package."""
    inside = sorted((PACKAGE / name).glob("*.py")) if (PACKAGE / name).is_dir() else []
    names = [f"a2cli.{name}", *(f"a2cli.{name}.{path.stem}" for path in inside if path.stem != "__init__")]
    code = f"import sys, {', '.join(names)}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def modules_after(arguments: list[str], cwd: Path) -> tuple[int, set[str]]:
    code = (
        "import json, sys; from a2cli import main; status = main.run_command();"
        "open('modules.json', 'w').write(json.dumps([status, sorted(sys.modules)]))"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, check=True)
    status, modules = json.loads((cwd / "modules.json").read_text())
    return status, set(modules)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["train-cnn", "--help"], 0),
        (["predict", "--help"], 0),
        (["predict", "--run", "none", "x.png"], 3),
        (["visualize-weights", "--help"], 0),
        (["visualize-weights", "--run", "none"], 3),
        (["presets"], 0),
        (["train-cnn", "--epocs", "3"], 2),
        (["train-cnn", "--epochs", "-3"], 2),
        (["train-cnn", "-p", "1.4-dropout", "--dry-run"], 0),
        (["train-cnn", "--image-size", "8"], 2),
    ],
)
def test_answers_without_torch(arguments: list[str], status: int, tmp_path: Path) -> None:
    found, modules = modules_after(arguments, tmp_path)
    assert found == status
    assert not HEAVY & modules
    if "--help" in arguments:
        assert "pydantic" not in modules, "help takes twice as long with it"
        assert not {name for name in modules if re.match(r"a2cli\.(reports|storage|training|runs)\b", name)}
    if arguments == ["--help"]:
        assert not {name for name in modules if name.startswith("a2cli.") and name.split(".")[1] in COMMANDS}
        assert not {name for name in modules if name.startswith("a2cli.settings.")} - {"a2cli.settings.flag_names"}


def test_a_training_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "set.npz", images=rng.integers(0, 255, (20, 16, 16, 3), dtype=np.uint8), labels=np.arange(20) % 2
    )
    small = ["--image-size", "16", "--channels", "4", "--epochs", "1", "--threads", "1", "--quiet"]
    status, modules = modules_after(["train-cnn", "--data", "set.npz", *small], tmp_path)
    assert status == 0
    assert not {"torchvision", "scipy", "sklearn", "pandas", "matplotlib.pyplot", "torch._dynamo"} & modules


def calls(path: Path) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_house_rules(path: Path) -> None:
    made, imported = calls(path), imports(path)
    if path == PACKAGE / "models/weights.py":  # the one file that reads other people's, by a reader that runs no code
        made, imported = made - {"torch.load"}, imported - {"pickle"}
    assert "print" not in made or package(path) == "console"
    assert not {"eval", "exec", "torch.load", "yaml.load", "torch.save"} & made
    assert not {"pickle", "dill", "matplotlib.pyplot"} & imported
    assert "../shared" not in path.read_text()
    assert not {"utils.py", "helpers.py"} & {path.name}


def test_other_peoples_weights_are_read_without_running_code() -> None:
    tree = ast.parse((PACKAGE / "models/weights.py").read_text())
    loads = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "torch.load"]
    assert loads
    assert all("weights_only=True" in map(ast.unparse, load.keywords) for load in loads)
    pickled = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and "pickle" in ast.unparse(n)}
    assert pickled == {"pickle.UnpicklingError"}
