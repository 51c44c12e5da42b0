"""Compiled code names the other files that are compiled into it.

numba's disk cache watches the file of a function alone. Where constants or functions of other files
are compiled in, machine code of older ones would go on running; so such a module holds their hash,
`_COMPILED_FROM`, and writing the new one is what makes numba compile anew.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("simulators", "pipelines", "bgpt", "benchmarks")
PIN = "_COMPILED_FROM"


class Module:
    """A file's names at top level: what each refers to, and where imported ones come from."""

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        self.compiled: set[str] = set()
        self.refers: dict[str, set[str]] = {}
        self.imported: dict[str, tuple[Path, str | None]] = {}
        self.pin: str | None = None
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module):
                for statement in node.body:
                    self._add(statement)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                for alias in node.names:
                    self._add_import(root, node.module, alias)

    def _add(self, node: ast.stmt) -> None:
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.refers[node.name] = names
            decorators = "".join(ast.unparse(one) for one in node.decorator_list)
            if "cache=True" in decorators:
                self.compiled.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        self.refers[part.id] = names
            if PIN in names and isinstance(node.value, ast.Constant):
                self.pin = str(node.value.value)

    def _add_import(self, root: Path, module: str, alias: ast.alias) -> None:
        file = root.joinpath(*module.split("."))
        inner = file.joinpath(f"{alias.name}.py")
        name = alias.asname or alias.name
        if inner.is_file():
            self.imported[name] = (inner, None)
        elif file.with_suffix(".py").is_file():
            self.imported[name] = (file.with_suffix(".py"), alias.name)


def files_in(module: Module, root: Path) -> set[Path]:
    """The other files whose names the compiled functions of a module reach."""
    modules = {module.path: module}
    todo = [(module.path, name) for name in module.compiled]
    seen: set[tuple[Path, str]] = set()
    while todo:
        path, name = todo.pop()
        if (path, name) in seen:
            continue
        seen.add((path, name))
        here = modules[path]
        todo += [(path, other) for other in here.refers.get(name, ())]
        if name in here.imported:
            file, inner = here.imported[name]
            there = modules.setdefault(file, Module(file, root))
            todo += [(file, one) for one in (there.refers if inner is None else [inner])]
    return {path for path, _ in seen} - {module.path}


def compiled_modules(root: Path) -> Iterator[Module]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if "cache=True" in path.read_text("utf-8"):
                yield Module(path, root)


def fault_of(module: Module, root: Path) -> str | None:
    """What is wrong with a module's pin, and how to put it right."""
    files = sorted(files_in(module, root))
    here = module.path.relative_to(root)
    if not files:
        return None if module.pin is None else f"{here}: nothing is compiled in, so no {PIN}"
    text = "".join(path.read_text("utf-8") for path in files)
    found = hashlib.sha256(text.encode()).hexdigest()
    names = ", ".join(str(path.relative_to(root)) for path in files)
    return None if module.pin == found else f"write {PIN} = {found} into {here} ({names})"


@pytest.mark.parametrize(
    "module", list(compiled_modules(ROOT)), ids=lambda module: str(module.path.relative_to(ROOT))
)
def test_a_kernel_names_the_files_that_are_compiled_into_it(module: Module) -> None:
    assert module.compiled
    assert fault_of(module, ROOT) is None


def test_kernels_that_take_from_other_files_are_known() -> None:
    pinned = [module for module in compiled_modules(ROOT) if module.pin is not None]
    assert len(pinned) >= 6
    kernel = Module(ROOT / "simulators/cpu/toy/kernel.py", ROOT)
    names = {path.name for path in files_in(kernel, ROOT)}
    assert names == {"counter_rng.py", "isa.py", "protocol.py"}


def test_a_constant_that_reaches_compiled_code_by_way_of_others_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "simulators"
    folder.mkdir()
    (folder / "far.py").write_text("SIZE = 3\nOTHER = 4\n")
    (folder / "near.py").write_text("from simulators.far import SIZE\nWORDS = 2 * SIZE\n")
    (folder / "unused.py").write_text("NAME = 'x'\n")
    source = (
        "import numba\nimport numpy as np\nfrom simulators.near import WORDS\n"
        "from simulators.unused import NAME\n_WORDS = np.uint64(WORDS)\n{pin}"
        "@numba.njit(cache=True)\ndef kernel():\n    return _WORDS\ndef door():\n    return NAME\n"
    )
    path = folder / "kernel.py"
    path.write_text(source.format(pin=""))
    fault = fault_of(Module(path, tmp_path), tmp_path)
    assert fault is not None
    assert fault.endswith("kernel.py (simulators/far.py, simulators/near.py)")
    path.write_text(source.format(pin=f"{PIN} = '{fault.split()[3]}'\n"))
    assert fault_of(Module(path, tmp_path), tmp_path) is None
    (folder / "far.py").write_text("SIZE = 5\n")
    assert fault_of(Module(path, tmp_path), tmp_path) is not None
