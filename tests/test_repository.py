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


def tree_paths(tree: str) -> list[str]:
    """Return the path of every module that a tree names; a folder's content is indented below it.

    >>> tree_paths("a/  # packages\\n  b.py   what\\n  c/\\n    d.py  what\\ne/\\n  f.py  what")
    ['a/b.py', 'a/c/d.py', 'e/f.py']
    """
    folders: list[tuple[int, str]] = []
    found: list[str] = []
    for line in filter(str.strip, tree.splitlines()):
        indent = len(line) - len(line.lstrip())
        name = line.split()[0]
        folders = [(depth, folder) for depth, folder in folders if depth < indent]
        path = "".join(folder for _, folder in folders) + name
        if name.endswith("/"):
            folders.append((indent, name))
        else:
            assert re.fullmatch(r"\s*\S+\s{2,}\S.*", line), f"no module with its line: {line!r}"
            found.append(path)
    return found


def test_the_readme_tree_has_one_line_for_every_module_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = tree_paths(readme.split("<!-- tree -->")[1].split("<!-- /tree -->")[0])
    paths = [p.relative_to(ROOT).as_posix() for p in python_files() if p.name != "__init__.py"]
    assert sorted(set(paths) - set(named)) == [], "README.md's tree lacks these"
    assert sorted(set(named) - set(paths)) == [], "README.md's tree names what is not there"
    assert len(named) == len(set(named))


def test_every_page_of_the_docs_that_is_named_exists() -> None:
    texts = [*python_files(), ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts += [ROOT / "Makefile", ROOT / "dvc.yaml", ROOT / "params.yaml", ROOT / "pyproject.toml"]
    named: set[tuple[Path, Path]] = set()
    for text in texts:
        content = text.read_text(encoding="utf-8")
        named |= {(text, ROOT / name) for name in re.findall(r"\bdocs/[\w./-]*\.md\b", content)}
        if text.suffix == ".md":  # links between pages
            links = re.findall(r"\]\((?!\w+:)([^)#]+\.md)", content)
            named |= {(text, text.parent / link) for link in links}
    assert len(named) > 20
    written_by_the_line = ROOT / "docs" / "results"  # not there before the first `make repro`
    missing = [
        f"{text.relative_to(ROOT)}: {page}"
        for text, page in sorted(named)
        if not page.is_file() and not page.is_relative_to(written_by_the_line)
    ]
    assert not missing


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
