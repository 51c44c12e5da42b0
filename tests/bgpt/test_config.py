from dataclasses import asdict, replace

import pytest

from bgpt.config import PRESETS, ModelConfig, UnknownPreset, compact_cpu, paper, preset
from pipelines.config import ConfigError, parse


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_survives_being_written_and_read(name: str) -> None:
    config = preset(name)
    assert parse(ModelConfig, asdict(config), "model") == config


def test_the_paper_preset_has_the_sizes_of_the_paper() -> None:
    config = paper()
    assert (config.patch_layers, config.byte_layers, config.max_patches) == (12, 3, 512)
    assert (config.patch_width, config.patch_heads, config.patch_ffn) == (768, 12, 3072)
    assert (config.byte_width, config.byte_heads, config.byte_ffn) == (768, 12, 3072)
    assert (config.activation, config.norm, config.positions) == ("gelu_new", "layer", "learned")


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UnknownPreset, match=r"'compact-cup': did you mean 'compact-cpu'\?"):
        preset("compact-cup")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_layers": 0}, "patch_layers must be at least 1, not 0"),
        ({"patch_heads": 7}, "patch_width 160 is not a multiple of 7 heads"),
        ({"patch_at_every_byte": False}, "must be equal unless patch_at_every_byte"),
        ({"byte_embedding": None, "tied_head": True}, "need a shared byte_embedding"),
        ({"byte_embedding": 32, "tied_head": True}, "a tied head needs byte_embedding"),
        ({"patch_size": 2}, r"patch_size must be a multiple of 4 in 4\.\.64, not 2"),
        ({"patch_size": 18}, r"patch_size must be a multiple of 4 in 4\.\.64, not 18"),
        ({"patch_size": 68}, r"patch_size must be a multiple of 4 in 4\.\.64, not 68"),
        ({"window": 65}, "window must be in 0..64, not 65"),
        ({"prev": False, "prev_layers": 1}, "prev_layers 1 needs prev"),
        ({"source_window": 5}, "source_window must be even"),
        ({"source_heads": 7}, "no multiple of 7 source heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(compact_cpu(), **change)  # pyright: ignore[reportArgumentType]


def test_an_unknown_key_of_a_model_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"model\.patch_widht"):
        parse(ModelConfig, {"patch_widht": 1}, "model")
