"""Rebuilding the small corpora gives the same bytes as ever: every shard and the manifest.

The hashes stand in tests/golden/corpora.json. A change of bytes raises the version of the system
or converter that made it; then run this file as a program to write the hashes anew.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import pytest

from pipelines.build import build_corpus
from pipelines.corpora import find_corpus, load_corpora, make_source
from pipelines.corpus import Corpus
from pipelines.engine import LocalEngine
from pipelines.plan import SIDES, Side

GOLDEN = Path(__file__).parent / "golden" / "corpora.json"
SMALL: dict[str, dict[Side, int]] = {
    "cpu-toy": {"train": 2000, "test": 100},
    "cpu-toy-paper": {"train": 300, "test": 30},
    "abc-midi": {"train": 1000, "test": 100},
}


def hashes_of(name: str, out: Path) -> dict[str, str]:
    """Build a small corpus and return the sha256 of its manifest and of every shard."""
    corpora = load_corpora(None)
    source = make_source(name, find_corpus(name, corpora))
    build_corpus(source, SMALL[name], out, engine=LocalEngine(2))
    for side in SIDES:
        Corpus.open(out).side(side).verify()
    paths = [out / "manifest.json", *sorted(out.rglob("*.tar"))]
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }


@pytest.mark.parametrize("name", SMALL)
def test_a_small_corpus_is_the_same_bytes_as_ever(name: str, tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert hashes_of(name, tmp_path / name) == golden[name]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {name: hashes_of(name, Path(folder) / name) for name in SMALL}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(GOLDEN, file=sys.stderr)
