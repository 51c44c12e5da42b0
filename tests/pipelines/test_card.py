"""The card says what the manifest does, in words, and follows from it alone."""

import importlib.util
import sys
from pathlib import Path

import pytest

from pipelines.build import build_corpus
from pipelines.card import CARD_NAME, card
from pipelines.manifest import Manifest, read_manifest

_spec = importlib.util.spec_from_file_location(
    "fake_source", Path(__file__).with_name("fake_source.py")
)
assert _spec is not None
assert _spec.loader is not None
_module = sys.modules.setdefault("fake_source", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(_module)
FakeSource = _module.FakeSource


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus") / "fake"
    build_corpus(FakeSource(), {"train": 1500, "test": 20}, out)
    return out


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return read_manifest(folder)


def test_a_built_corpus_has_its_card(folder: Path, manifest: Manifest) -> None:
    assert (folder / CARD_NAME).read_text("utf-8") == card(manifest)


def test_a_missing_card_is_written_again_and_no_shard_with_it(folder: Path) -> None:
    (folder / CARD_NAME).unlink()
    report = build_corpus(FakeSource(), {"train": 1500, "test": 20}, folder)
    assert report.built_shards == 0
    assert (folder / CARD_NAME).exists()


def test_a_card_names_sizes_drops_and_how_to_read(manifest: Manifest) -> None:
    text = card(manifest)
    train = manifest.sides["train"]
    size = sum(shard.bytes for shard in train.shards)
    sha256 = manifest.side_sha256("train")[:16]
    assert f"| train | 1,500 | 2 | {size:,} | `{sha256}` |" in text
    assert f"| train shards | unlucky | {train.dropped['unlucky']:,} |" in text
    assert "| planning | bad | 5 |" in text
    assert "train/fake-{000000..000001}.tar" in text
    assert "licence: none" in text


def test_a_card_of_music_has_tiers_and_licences(manifest: Manifest) -> None:
    provenance = {
        "tiers": [
            {
                "pairs": 1000,
                "base_tunes": 900,
                "keys": 12,
                "real": 400,
                "transposed": 600,
                "recombined": 0,
            }
        ],
        "collections": [{"collection": "airs", "licence": "none-stated", "tunes": 12}],
        "terms": {"airs": "nobody knows"},
        "transposed": {"kept": 600, "dropped": {"not_transposable": 3}},
    }
    text = card(Manifest(**{name: getattr(manifest, name) for name in manifest.__slots__}
                         | {"provenance": provenance}))  # fmt: skip
    assert "| 1,000 | 900 | 12 | 400 | 600 | 0 |" in text
    assert "| airs | none-stated | 12 | nobody knows |" in text
    assert "| transpositions | not_transposable | 3 |" in text
    assert "Material by number" not in card(manifest)
