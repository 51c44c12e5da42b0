# pyright: reportUnknownMemberType=false
"""The authors' checkpoints: in, the same figures as an independent GPT-2, and out again."""

import json
import math
import os
import resource
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from bgpt.__main__ import main
from bgpt.checkpoint import CheckpointError, load_model, read_config, save_model
from bgpt.classifier import load_classifier
from bgpt.classifier_folder import kind_of, read_classifier
from bgpt.config import ModelConfig
from bgpt.interop import export_pth, import_pth
from bgpt.model import Bgpt
from bgpt.patching import collate, layout
from bgpt.weigh import score_file, weighing_copy
from pipelines.sample import Segment

WIDTH, PATCH_LAYERS, BYTE_LAYERS, POSITIONS = 128, 2, 1, 256
STATE = dict[str, Tensor]
M = TypeVar("M", bound=nn.Module)


# -- the authors' model, from its description, on transformers' GPT-2 -----------------------------


def gpt2(layers: int, positions: int, words: int) -> GPT2Config:
    return GPT2Config(
        n_embd=WIDTH, n_layer=layers, n_head=WIDTH // 64, n_positions=positions, vocab_size=words,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip


class PatchDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch_embedding = nn.Linear(16 * 257, WIDTH)
        self.base = GPT2Model(gpt2(PATCH_LAYERS, POSITIONS, 1))

    def forward(self, patches: Tensor) -> Tensor:
        one_hot = nn.functional.one_hot(patches, 257).float().flatten(2)  # [B, T, 4112]
        return self.base(inputs_embeds=self.patch_embedding(one_hot)).last_hidden_state


class ByteDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = GPT2LMHeadModel(gpt2(BYTE_LAYERS, 17, 257))

    def forward(self, encoded: Tensor, patches: Tensor) -> Tensor:
        """Return logits `[P, 16, 257]` of `patches [P, 16]`, each foretold by `encoded [P, D]`."""
        embedded = self.base.transformer.wte(patches)
        inputs = torch.cat((encoded[:, None], embedded), dim=1)  # 17 positions
        return self.base(inputs_embeds=inputs).logits[:, :-1]


class Generative(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch_level_decoder = PatchDecoder()
        self.byte_level_decoder = ByteDecoder()

    def forward(self, patches: Tensor) -> Tensor:
        """Return logits `[T - 1, 16, 257]` of one sequence `[T, 16]`."""
        encoded = self.patch_level_decoder(patches[None])[0]
        return self.byte_level_decoder(encoded[:-1], patches[1:])


class Classification(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.patch_level_decoder = PatchDecoder()
        self.classifier = nn.Linear(WIDTH, classes)

    def forward(self, patches: Tensor) -> Tensor:
        """Return logits `[classes]` of one sequence `[T, 16]`."""
        return self.classifier(self.patch_level_decoder(patches[None])[0].mean(dim=0))


def randomised(make: Callable[[], M]) -> M:
    """Return a model with noise on every weight, so that no part can be left out unnoticed."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = make()
        for parameter in model.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture(scope="module")
def theirs() -> Generative:
    return randomised(Generative)


def state_of(model: nn.Module) -> STATE:
    return dict(model.state_dict())


def with_old_masks(state: STATE) -> STATE:
    """Return the state as old transformers versions stored it, mask buffers included."""
    old = dict(state)
    for name in state:
        if name.endswith("attn.c_attn.weight"):
            stem = name.removesuffix("c_attn.weight")
            size = 17 if name.startswith("byte") else POSITIONS
            old[f"{stem}bias"] = torch.ones(1, 1, size, size, dtype=torch.uint8).tril()
            old[f"{stem}masked_bias"] = torch.tensor(-1e4)
    return old


@pytest.fixture(scope="module")
def pth(theirs: Generative, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as the authors' training script leaves it."""
    path = tmp_path_factory.mktemp("theirs") / "weights.pth"
    optimizer = torch.optim.AdamW(theirs.parameters())
    torch.save(
        {
            "model": with_old_masks(state_of(theirs)), "optimizer": optimizer.state_dict(),
            "lr_sched": {"_last_lr": [1e-4], "lr_lambdas": [{}]},
            "epoch": 7, "best_epoch": 5, "min_eval_loss": 0.25,
        },
        path,
    )  # fmt: skip
    return path


def bgpt(*arguments: str | Path) -> tuple[int, str, str]:
    """Run a command in this process; return exit code, stdout and stderr."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["bgpt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    code: Any = ended.value.code
    return code or 0, out.getvalue(), err.getvalue()


def read_state(path: Path) -> STATE:
    return torch.load(path, weights_only=True)["model"]


def assert_same(found: STATE, expected: STATE) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


# -- in, evaluate, out, in ------------------------------------------------------------------------


def test_a_checkpoint_imports_evaluates_exports_and_comes_back_bit_for_bit(
    pth: Path, theirs: Generative, tmp_path: Path
) -> None:
    assert bgpt("import", pth, "-o", tmp_path / "m") == (0, f"{tmp_path / 'm'}\n", "")
    config, provenance = read_config(tmp_path / "m")
    assert config == ModelConfig(
        patch_width=128, patch_layers=2, patch_heads=2, patch_ffn=512,
        byte_width=128, byte_layers=1, byte_heads=2, byte_ffn=512, max_patches=256,
    )  # fmt: skip
    assert provenance == {
        "imported_from": "authors", "epoch": 7, "best_epoch": 5, "min_eval_loss": 0.25,
    }  # fmt: skip

    (tmp_path / "a.abc").write_bytes(b"X:1\nK:G\nABcd|efga|\n")
    code, out, _ = bgpt("eval", tmp_path / "m", "--files", tmp_path / "a.abc", "--json")
    assert code == 0
    assert json.loads(out)[0]["bits_per_byte"] > 4

    code, out, err = bgpt("export", tmp_path / "m", "-o", tmp_path / "new" / "b.pth")
    assert (code, out) == (0, f"{tmp_path / 'new' / 'b.pth'}\n")
    assert err == (
        "their config.py needs HIDDEN_SIZE = 128, PATCH_NUM_LAYERS = 2, PATCH_LENGTH = 256, "
        "BYTE_NUM_LAYERS = 1\n"
    )
    exported = torch.load(tmp_path / "new" / "b.pth", weights_only=True)
    assert (exported["epoch"], exported["best_epoch"], exported["min_eval_loss"]) == (7, 5, 0.25)
    assert_same(exported["model"], state_of(theirs))
    randomised(Generative).load_state_dict(exported["model"], strict=True)

    assert bgpt("import", tmp_path / "new" / "b.pth", "-o", tmp_path / "again")[0] == 0
    files = sorted(file.name for file in (tmp_path / "m").iterdir())
    assert files == ["config.json", "model.safetensors", "unused.safetensors"]
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "m" / name).read_bytes()
    export_pth(tmp_path / "again", tmp_path / "c.pth")
    assert (tmp_path / "c.pth").read_bytes() == (tmp_path / "new" / "b.pth").read_bytes()
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["b.pth"]


def test_an_imported_model_equals_an_independent_gpt2(
    pth: Path, theirs: Generative, tmp_path: Path
) -> None:
    import_pth(pth, tmp_path / "m")
    model = load_model(tmp_path / "m")
    files = [
        Segment(extension="txt", data=bytes(range(256)) * 15 + b"end"),  # 242 of 256 patches
        Segment(extension="mid", data=b"MThd" * 4),
        Segment(extension="bin", data=b"\x00"),
    ]
    for file in files:
        batch = collate([layout([file], loss="tokens")])
        with torch.no_grad():
            expected = theirs(batch.patches[0])
            found = model._scored_logits(batch, torch.float32)[0].view(-1, 16, 257)
        assert found.shape == expected.shape
        assert float((found - expected).abs().max()) < 1e-4
        nats = nn.functional.cross_entropy(expected.flatten(0, 1), batch.patches[0, 1:].flatten())
        for ready in (model, weighing_copy(model, torch.float32)):
            score = score_file(ready, "f", file)
            assert score.authors_nats_per_token == pytest.approx(float(nats), abs=1e-5)


def test_a_bare_state_dict_without_head_or_unused_table_is_read_too(
    theirs: Generative, tmp_path: Path
) -> None:
    state = state_of(theirs)
    word_table = "patch_level_decoder.base.wte.weight"
    bare = {k: v for k, v in state.items() if k != word_table and "lm_head" not in k}
    torch.save(bare, tmp_path / "bare.pth")
    import_pth(tmp_path / "bare.pth", tmp_path / "m")
    assert not (tmp_path / "m" / "unused.safetensors").exists()
    assert read_config(tmp_path / "m")[1] == {"imported_from": "authors"}
    export_pth(tmp_path / "m", tmp_path / "out.pth")
    assert_same(
        read_state(tmp_path / "out.pth"), {**state, word_table: torch.zeros_like(state[word_table])}
    )
    values = torch.load(tmp_path / "out.pth", weights_only=True)
    assert (values["epoch"], values["best_epoch"], values["min_eval_loss"]) == (0, 0, 100.0)


def test_the_legacy_file_format_of_torch_is_read(theirs: Generative, tmp_path: Path) -> None:
    torch.save(
        {"model": state_of(theirs)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False
    )
    import_pth(tmp_path / "old.pth", tmp_path / "m")
    export_pth(tmp_path / "m", tmp_path / "new.pth")
    assert_same(read_state(tmp_path / "new.pth"), state_of(theirs))


def test_position_tables_of_any_length_survive(theirs: Generative, tmp_path: Path) -> None:
    state = state_of(theirs)
    patch = "patch_level_decoder.base.wpe.weight"
    byte = "byte_level_decoder.base.transformer.wpe.weight"
    state[patch] = torch.randn(1000, WIDTH)
    state[byte] = torch.cat((state[byte], torch.randn(15, WIDTH)))
    torch.save({"model": state}, tmp_path / "long.pth")
    assert import_pth(tmp_path / "long.pth", tmp_path / "m").max_patches == 1000
    exported = export_pth(tmp_path / "m", tmp_path / "out.pth")
    assert_same(read_state(tmp_path / "out.pth"), state)
    assert exported.settings["PATCH_LENGTH"] == 1000
    assert exported.edits == ("max_position_embeddings=32 in byte_config",)


def test_half_precision_is_widened_without_a_change(theirs: Generative, tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in state_of(theirs).items()}
    torch.save({"model": half}, tmp_path / "half.pth")
    import_pth(tmp_path / "half.pth", tmp_path / "m")
    export_pth(tmp_path / "m", tmp_path / "out.pth")
    assert_same(read_state(tmp_path / "out.pth"), {n: t.float() for n, t in half.items()})


def test_other_heads_can_be_given_and_export_says_so(pth: Path, tmp_path: Path) -> None:
    assert import_pth(pth, tmp_path / "m", heads=4).patch_heads == 4
    edits = export_pth(tmp_path / "m", tmp_path / "out.pth").edits
    assert edits == ("n_head=4 in patch_config", "n_head=4 in byte_config")
    with pytest.raises(CheckpointError, match=r"weights.pth: patch_width 128 is not a multiple"):
        import_pth(pth, tmp_path / "odd", heads=3)
    assert not (tmp_path / "odd").exists()


def test_a_width_that_64_does_not_divide_asks_for_heads(theirs: Generative, tmp_path: Path) -> None:
    state = state_of(theirs)
    state["patch_level_decoder.patch_embedding.weight"] = torch.zeros(200, 4112)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"width 200 does not divide .* pass --heads"):
        import_pth(tmp_path / "odd.pth", tmp_path / "m")


# -- classifiers ----------------------------------------------------------------------------------


@pytest.fixture
def classifier(tmp_path: Path) -> tuple[Path, STATE]:
    state = state_of(randomised(lambda: Classification(3)))
    values = {"epoch": 2, "best_epoch": 2, "max_eval_acc": 0.5, "labels": {"World.txt": 0}}
    torch.save({"model": with_old_masks(state), **values}, tmp_path / "cls.pth")
    return tmp_path / "cls.pth", state


def test_a_classifier_comes_in_and_goes_out_bit_for_bit(
    classifier: tuple[Path, STATE], tmp_path: Path
) -> None:
    path, state = classifier
    assert bgpt("import", path, "-o", tmp_path / "m")[0] == 0
    assert kind_of(tmp_path / "m") == "classifier"
    weights = read_classifier(tmp_path / "m")
    assert weights.provenance == {
        "imported_from": "authors", "epoch": 2, "best_epoch": 2, "max_eval_acc": 0.5,
        "labels": {"World.txt": 0}, "kind": "classifier", "classes": 3,
    }  # fmt: skip
    assert torch.equal(weights.tensors["classifier.weight"], state["classifier.weight"])
    code, _, err = bgpt("export", tmp_path / "m", "-o", tmp_path / "out.pth")
    assert (code, "BYTE_NUM_LAYERS" in err) == (0, False)
    exported = torch.load(tmp_path / "out.pth", weights_only=True)
    assert_same(exported.pop("model"), state)
    assert exported == {
        "epoch": 2, "best_epoch": 2, "max_eval_acc": 0.5, "labels": {"World.txt": 0},
    }  # fmt: skip
    import_pth(tmp_path / "out.pth", tmp_path / "again")
    for file in (tmp_path / "m").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_an_imported_classifier_equals_an_independent_gpt2(
    classifier: tuple[Path, STATE], tmp_path: Path
) -> None:
    theirs = randomised(lambda: Classification(3))
    import_pth(classifier[0], tmp_path / "m")
    model = load_classifier(tmp_path / "m")
    files = [
        Segment(extension="txt", data=bytes(range(256)) * 15 + b"end"),  # 242 of 256 patches
        Segment(extension="mid", data=b"MThd" * 4),
        Segment(extension="bin", data=b"\x00"),
    ]
    samples = [layout([file]) for file in files]
    with torch.no_grad():
        expected = torch.stack([theirs(collate([one]).patches[0]) for one in samples])
        alone = torch.cat([model(collate([one])) for one in samples])
        together = model(collate(samples))
    assert alone.shape == (3, 3)
    assert float((alone - expected).abs().max()) < 1e-4
    assert float((together - expected).abs().max()) < 1e-4
    # The files are told apart by more than that, so the mean is over the right patches.
    assert float((expected[1] - expected[2]).abs().max()) > 1e-2
    probabilities = model.classify(files)
    assert torch.allclose(probabilities, expected.softmax(dim=-1), atol=1e-4)


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "m", "--files", "a.bin"],
        ["generate", "m", "a.bin", "-o", "o"],
        ["simulate", "m", "a.bin", "-o", "o"],
        ["convert", "m", "a.abc", "-o", "o.mid"],
    ],
)
def test_a_classifier_neither_weighs_nor_writes_files(
    classifier: tuple[Path, STATE], tmp_path: Path, command: list[str]
) -> None:
    import_pth(classifier[0], tmp_path / "m")
    arguments = [str(tmp_path / "m") if a == "m" else a for a in command]
    code, out, err = bgpt(*arguments)
    assert (code, out) == (2, "")
    assert "a classifier, which has no byte level" in err


# -- what is refused ------------------------------------------------------------------------------

QKV = "patch_level_decoder.base.h.1.attn.c_attn.weight"
TABLE = "byte_level_decoder.base.transformer.wte.weight"
HEAD = "byte_level_decoder.base.lm_head.weight"
EMBEDDING = "patch_level_decoder.patch_embedding.weight"
BYTE_WPE = "byte_level_decoder.base.transformer.wpe.weight"
NAN = math.nan

Change = dict[str, Tensor | None]
REFUSED: list[tuple[Change, str]] = [
    # what is changed (None: taken out), what the one line says
    ({QKV: None}, f"{QKV} is missing"),
    ({EMBEDDING: None}, f"{EMBEDDING} is missing"),
    ({TABLE: None}, f"{TABLE} is missing"),
    ({"patch_level_decoder.base.h.0.mlp.c_fc.weight": None}, "h.0.mlp.c_fc.weight is missing"),
    ({"patch_level_decoder.base.h.999.ln_1.bias": torch.zeros(WIDTH)}, "h.2.ln_1.weight is missi"),
    ({"classifier.weight": torch.zeros(3, WIDTH)}, "classifier.weight is no part of a generative"),
    ({"head.a": torch.zeros(1), "head.b": torch.zeros(1)}, "head.a is no part of a generative che"),
    ({QKV: torch.zeros(3 * WIDTH, WIDTH)}, f"{QKV} is [384, 128], expected [128, 384]"),
    ({TABLE: torch.zeros(256, WIDTH), HEAD: None}, f"{TABLE} is [256, 128], expected [257, 128]"),
    ({BYTE_WPE: torch.zeros(16, WIDTH)}, f"{BYTE_WPE} is [16, 128], expected [17, 128]"),
    ({EMBEDDING: torch.zeros(WIDTH, 8 * 257)}, "has 2056 columns, expected 4112: patches of 16"),
    ({EMBEDDING: torch.zeros(4112)}, f"{EMBEDDING} is [4112], expected a matrix"),
    ({EMBEDDING: torch.zeros(32, 4112)}, "width 32 does not divide into heads of 64"),
    ({QKV: torch.full((WIDTH, 384), NAN)}, f"{QKV} holds values that are not finite"),
    ({TABLE: torch.full((257, WIDTH), NAN)}, f"{TABLE} holds values that are not finite"),
    ({HEAD: torch.full((257, WIDTH), NAN)}, f"{HEAD} holds values that are not finite"),
    ({HEAD: torch.zeros(257, WIDTH)}, f"{HEAD} differs from {TABLE}; the head must be tied"),
    ({QKV: torch.zeros(WIDTH, 384).double()}, f"{QKV} is torch.float64, expected torch.float32"),
    ({QKV: torch.zeros(1, 1).expand(WIDTH, 384)}, f"{QKV} is [128, 384], more numbers than the fi"),
    ({"patch_level_decoder.base.wte.weight": torch.zeros(1, 5)}, "is [1, 5], expected [rows, 128]"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_a_wrong_tensor_is_one_line_that_names_it(
    theirs: Generative, tmp_path: Path, change: Change, message: str
) -> None:
    changed = {**state_of(theirs), **change}
    state = {name: tensor for name, tensor in changed.items() if tensor is not None}
    torch.save({"model": state}, tmp_path / "bad.pth")
    code, out, err = bgpt("import", tmp_path / "bad.pth", "-o", tmp_path / "m")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / 'bad.pth'}: ")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_sparse_tensor_is_refused(theirs: Generative, tmp_path: Path) -> None:
    """By its name, or by torch itself: 2.11 reads none."""
    sparse = torch.zeros(WIDTH, 384).to_sparse()
    torch.save({"model": {**state_of(theirs), QKV: sparse}}, tmp_path / "bad.pth")
    code, out, err = bgpt("import", tmp_path / "bad.pth", "-o", tmp_path / "m")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{QKV} is no plain tensor (torch.sparse_coo" in err or (
        "not a readable .pth file: Sparse" in err
    )
    assert not (tmp_path / "m").exists()


def test_a_classifier_with_a_wrong_tensor_is_refused_too(
    classifier: tuple[Path, STATE], tmp_path: Path
) -> None:
    _, state = classifier
    for name, tensor, message in (
        (
            "classifier.bias",
            torch.zeros(4),
            r"classifier.weight is \[3, 128\], expected \[4, 128\]",
        ),
        ("classifier.bias", torch.zeros(()), r"classifier.weight is \[3, 128\], expected \[0, 12"),
        ("odd", torch.zeros(1), "odd is no part of a classification checkpoint"),
    ):
        torch.save({"model": {**state, name: tensor}}, tmp_path / "bad.pth")
        with pytest.raises(CheckpointError, match=message):
            import_pth(tmp_path / "bad.pth", tmp_path / "m")


class Code:
    """Unpickling this runs a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_never_run(
    theirs: Generative, tmp_path: Path, zipped: bool
) -> None:
    torch.save(
        {"model": state_of(theirs), "labels": Code(tmp_path / "ran")}, tmp_path / "bad.pth",
        _use_new_zipfile_serialization=zipped,
    )  # fmt: skip
    code, out, err = bgpt("import", tmp_path / "bad.pth", "-o", tmp_path / "m")
    assert (code, out) == (2, "")
    assert "bad.pth: refused: it holds more than weights (posix.system), and code in a " in err
    assert err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.pth"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable .pth file"),
        (b"no checkpoint at all", "not a readable .pth file"),
        (b"PK\x03\x04" + bytes(100), "not a readable .pth file"),
        (b"\x80\x02K\x01.", "not a readable .pth file"),
    ],
)
def test_a_file_that_is_no_checkpoint_says_so(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        import_pth(tmp_path / "x.pth", tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_checkpoint_says_so(pth: Path, tmp_path: Path, cut: float) -> None:
    content = pth.read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: int(cut * len(content))])
    with pytest.raises(CheckpointError, match=r"cut.pth: not a readable .pth file"):
        import_pth(tmp_path / "cut.pth", tmp_path / "m")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "neither a state dict nor one under the key"),
        ({"model": {}}, "neither a state dict nor one under the key"),
        ({"epoch": 3}, "'epoch' is no tensor"),
        ({"model": {"a": 3}}, "'a' is no tensor"),
        ({"a": torch.zeros(3)}, "patch_embedding.weight is missing"),
    ],
)
def test_another_kind_of_content_says_what_is_missing(
    tmp_path: Path, value: object, message: str
) -> None:
    torch.save(value, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=message):
        import_pth(tmp_path / "x.pth", tmp_path / "m")


def test_values_that_make_no_sense_are_left_out(theirs: Generative, tmp_path: Path) -> None:
    torch.save(
        {
            "model": state_of(theirs), "epoch": "seven", "min_eval_loss": math.inf,
            "best_epoch": True,
        },
        tmp_path / "x.pth",
    )  # fmt: skip
    import_pth(tmp_path / "x.pth", tmp_path / "m")
    assert read_config(tmp_path / "m")[1] == {"imported_from": "authors"}


def test_import_never_writes_over_a_folder(pth: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match=r"mine: is there already; delete it or pass another"):
        import_pth(pth, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    import_pth(pth, tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compact-cpu", "cannot express it: norm is 'rms', theirs is 'layer'"),
        ("compact-music", "cannot express it: norm is 'rms', theirs is 'layer'"),
        ("paper-12", "cannot express it: patch_size is 12, theirs is 16"),
    ],
)
def test_a_model_with_other_parts_is_not_exported(
    tiny_model: Callable[[str], Bgpt], tmp_path: Path, name: str, message: str
) -> None:
    save_model(tmp_path / "m", tiny_model(name))
    code, _, err = bgpt("export", tmp_path / "m", "-o", tmp_path / "out.pth")
    assert code == 2
    assert message in err
    assert not (tmp_path / "out.pth").exists()


def test_a_model_of_ours_exports_with_first_values_and_its_proportions(
    tiny_model: Callable[[str], Bgpt], tmp_path: Path
) -> None:
    save_model(tmp_path / "m", tiny_model("paper"), {"step": 9})
    exported = export_pth(tmp_path / "m", tmp_path / "out.pth")
    assert exported.edits == (
        "n_head=2 in patch_config", "n_inner=64 in patch_config",
        "n_head=2 in byte_config", "n_inner=64 in byte_config",
    )  # fmt: skip
    import_pth(tmp_path / "out.pth", tmp_path / "again", heads=2)
    assert load_file(tmp_path / "again" / "model.safetensors").keys()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        tmp_path / "m" / "model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("command", ["export", "eval", "info"])
def test_a_newer_format_of_ours_is_refused_with_both_versions(
    pth: Path, tmp_path: Path, command: str
) -> None:
    import_pth(pth, tmp_path / "m")
    file = tmp_path / "m" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema_version": 99}))
    rest = {"export": ["-o", tmp_path / "o.pth"], "eval": ["--files", "a.bin"], "info": []}
    code, out, err = bgpt(command, tmp_path / "m", *rest[command])
    assert (code, out) == (2, "")
    assert "format version 99, and this program reads up to 1; update it" in err


def test_a_changed_unused_table_is_refused_at_export(pth: Path, tmp_path: Path) -> None:
    import_pth(pth, tmp_path / "m")
    (tmp_path / "m" / "unused.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match=r"unused.safetensors: not a readable"):
        export_pth(tmp_path / "m", tmp_path / "out.pth")


def test_a_full_disk_keeps_the_old_file(pth: Path, tmp_path: Path) -> None:
    import_pth(pth, tmp_path / "m")
    export_pth(tmp_path / "m", tmp_path / "out.pth")
    before = (tmp_path / "out.pth").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        code, _, err = bgpt("export", tmp_path / "m", "-o", tmp_path / "out.pth")
        second = bgpt("import", pth, "-o", tmp_path / "other")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == second[0] == 2
    assert "out.pth: cannot be written: " in err
    assert "File too large" in err
    assert err.count("\n") == second[2].count("\n") == 1
    assert (tmp_path / "out.pth").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "out.pth"]


@pytest.mark.parametrize("command", ["import", "export", "info"])
def test_help_shows_an_example(command: str) -> None:
    code, out, err = bgpt(command, "--help")
    assert (code, err) == (0, "")
    assert f"Example:\n    bgpt {command} " in out
