"""The repository keeps its own promises: tree, pins, no pickle, one line a file."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = ("simulators", "pipelines", "bgpt", "benchmarks")


def python_files() -> list[Path]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 20
    return files


def test_every_module_opens_with_what_it_is() -> None:
    for path in python_files():
        assert path.read_text(encoding="utf-8").lstrip("# \n").find('"""') >= 0, path
        first_lines = path.read_text(encoding="utf-8").split('"""', 2)
        assert len(first_lines) == 3, path
        assert len(first_lines[1]) > 20, f"{path}: say what the module is"


def test_the_readme_tree_has_one_line_for_every_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme.split("<!-- tree -->")[1].split("<!-- /tree -->")[0]
    named = {
        name
        for line in tree.splitlines()
        if (match := re.match(r"\s*(\S+(?:, \S+)*)\s{2,}\S", line))
        for name in match.group(1).split(", ")
    }
    missing = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if path.name != "__init__.py" and path.name not in named
    ]
    assert not missing, f"README.md's tree lacks {missing}"


def test_nothing_unpickles() -> None:
    pattern = re.compile(r"\b(import pickle|pickle\.loads?|weights_only=False|allow_pickle=True)")
    for path in python_files():
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_constraints_pin_every_package_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 100
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin) for pin in pins)


def test_every_command_of_the_line_is_public() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    commands = [stage.get("do", stage)["cmd"] for stage in stages.values()]
    assert len(commands) >= 5
    for command in commands:
        assert re.match(r"bgpt(-data|-bench)? ", command), command


@pytest.mark.parametrize("name", ["bgpt-data", "bgpt", "bgpt-bench"])
def test_help_of_each_command_shows_an_example(name: str) -> None:
    done = subprocess.run([name, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert f"{name} " in done.stdout
    assert "xample" in done.stdout
