# pyright: reportUnknownMemberType=false
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bgpt.checkpoint import (
    CheckpointError,
    atomic_folder,
    load_model,
    read_config,
    save_model,
    save_tensors,
)
from bgpt.model import Bgpt

Make = Callable[[str], Bgpt]


@pytest.fixture
def saved(tiny_model: Make, tmp_path: Path) -> Path:
    save_model(tmp_path / "model", tiny_model("compact-cpu"), {"step": 12})
    return tmp_path / "model"


def test_a_model_comes_back_bit_for_bit(tiny_model: Make, tiny_name: str, tmp_path: Path) -> None:
    model = tiny_model(tiny_name)
    save_model(tmp_path / "m", model)
    loaded = load_model(tmp_path / "m", expected=model.config)
    assert loaded.config == model.config
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_model_folder_holds_two_files_and_its_provenance(saved: Path) -> None:
    assert sorted(file.name for file in saved.iterdir()) == ["config.json", "model.safetensors"]
    assert read_config(saved)[1] == {"step": 12}
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_saving_again_replaces_the_model(saved: Path, tiny_model: Make) -> None:
    save_model(saved, tiny_model("paper"), {"step": 13})
    assert read_config(saved) == (tiny_model("paper").config, {"step": 13})
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_error_while_writing_leaves_the_old_model(saved: Path) -> None:
    before = (saved / "model.safetensors").read_bytes()

    def write_half() -> None:
        with atomic_folder(saved) as folder:
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(CheckpointError, match="model: cannot be written: disk full"):
        write_half()
    assert (saved / "model.safetensors").read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_checkpoint_of_another_configuration_names_the_difference(
    saved: Path, tiny_model: Make
) -> None:
    expected = replace(tiny_model("compact-cpu").config, byte_layers=3)
    with pytest.raises(CheckpointError, match="another configuration: byte_layers 2, expected 3"):
        load_model(saved, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "the top level must be an object"),
        ('{"schema_version": 9}', "written in format version 9, and this program reads up to 1;"),
        ('{"schema_version": 0}', "not a model of schema version 1"),
        ('{"schema_version": 1, "model": []}', "must be objects"),
        ('{"schema_version": 1, "model": {}, "provenance": {}}', "model.patch_width: missing"),
        ('{"schema_version": 1, "model": {"x": 1}, "provenance": {}}', "model.x: unknown key"),
    ],
)
def test_a_broken_configuration_is_one_clear_error(saved: Path, text: str, message: str) -> None:
    (saved / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        load_model(saved)


def change(saved: Path, name: str, tensor: torch.Tensor | None) -> None:
    file = saved / "model.safetensors"
    tensors = load_file(file)
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("embedding.weight", None, "1 names differ, the first is 'embedding.weight'"),
        ("odd", torch.zeros(1), "1 names differ, the first is 'odd'"),
        ("embedding.weight", torch.zeros(3, 3), r"embedding.weight is torch.float32 \[3, 3\]"),
        ("embedding.weight", torch.zeros(257, 16).half(), "embedding.weight is torch.float16"),
        ("embedding.weight", torch.full((257, 16), float("nan")), "values that are not finite"),
    ],
)
def test_weights_that_are_not_the_configurations_are_refused(
    saved: Path, name: str, tensor: torch.Tensor | None, message: str
) -> None:
    change(saved, name, tensor)
    with pytest.raises(CheckpointError, match=message):
        load_model(saved)


def test_a_cut_or_missing_weights_file_is_one_clear_error(saved: Path) -> None:
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_model(saved)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file"):
        load_model(saved)


def test_the_configuration_is_readable_by_others(saved: Path, tiny_model: Make) -> None:
    declared = json.loads((saved / "config.json").read_text(encoding="utf-8"))
    assert declared["model"]["patch_width"] == 32
    assert declared["num_parameters"] == tiny_model("compact-cpu").num_parameters()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_files_of_a_model_follow_the_umask(
    tiny_model: Make, tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        save_model(tmp_path / "model", tiny_model("paper"))
    finally:
        os.umask(before)
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "model").iterdir()}
    assert modes == {"config.json": mode, "model.safetensors": mode}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "absent" / "x.safetensors"
    with pytest.raises(
        CheckpointError, match=r"absent/x\.safetensors: cannot be written: .*No such"
    ):
        save_tensors(file, {"x": torch.zeros(3)})


def test_a_run_may_stand_for_the_model_that_it_holds(tiny_model: Make, tmp_path: Path) -> None:
    model = tiny_model("compact-cpu")
    save_model(tmp_path / "run" / "model", model, {"step": 12})
    assert read_config(tmp_path / "run") == (model.config, {"step": 12})
    loaded = load_model(tmp_path / "run").state_dict()
    assert all(torch.equal(loaded[name], t) for name, t in model.state_dict().items())
