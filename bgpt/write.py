"""Files that a trained model writes for a person: a continuation, a simulation, a conversion.

Thin over `bgpt.byte_model`: it knows what a model was trained for, from the provenance in its
`config.json`, and refuses what it was not. Everything is greedy; the benchmark predicts on its own.
"""

from pathlib import Path

from bgpt.byte_model import load_byte_model
from bgpt.checkpoint import read_config
from bgpt.config import PATCH_SIZE
from bgpt.data import DIRECTIONS
from bgpt.patching import TooLong, num_patches
from bgpt.protocol import Prompt
from pipelines.sample import Segment
from simulators.music.canonical import TuneRejected, canonicalise


def continue_file(model: Path, given: Segment, max_bytes: int | None = None) -> bytes:
    """Return the likeliest bytes after `given`.

    Raises:
        CheckpointError: `model` is no model.
        TooLong: `given` leaves no room.
    """
    prompt = Prompt(source=None, extension=given.extension, given=given.data)
    return _generated(model, prompt, max_bytes)


def simulate(model: Path, name: str, program: Segment, max_bytes: int | None = None) -> bytes:
    """Return the whole file of a simulation: what is given, then the states after it.

    Raises:
        ValueError: the model simulates nothing, or `program` is not memory and first state.
    """
    prompt_bytes: object = read_config(model)[1].get("prompt_bytes")
    if not isinstance(prompt_bytes, int) or prompt_bytes < 1:
        raise ValueError(f"{model}: was not trained to simulate; use a model of a cpu corpus")
    if len(program.data) != prompt_bytes:
        raise ValueError(
            f"{name}: {len(program.data)} bytes; this model needs exactly {prompt_bytes}, the "
            "memory block and the first state"
        )
    return program.data + continue_file(model, program, max_bytes)


def convert(
    model: Path, name: str, source: Segment, extension: str, max_bytes: int | None = None
) -> bytes:
    """Return `source` in the format `extension`; ABC is brought into canonical form first.

    Raises:
        ValueError: the model does not convert in this direction, or the tune is rejected.
    """
    directions: object = read_config(model)[1].get("directions")
    known = [d for d in DIRECTIONS if isinstance(directions, dict) and d in directions]
    if (source.extension, extension) not in [DIRECTIONS[direction] for direction in known]:
        trained = f"was trained on {', '.join(known)}" if known else "was not trained to convert"
        raise ValueError(
            f"{model}: {trained}; it cannot turn .{source.extension} into .{extension or '?'}"
        )
    if source.extension == "abc":
        try:
            text = canonicalise(source.data.decode("utf-8"))
        except (TuneRejected, UnicodeDecodeError) as error:
            raise ValueError(f"{name}: not a tune that can be converted: {error}") from error
        source = Segment(extension="abc", data=text.encode())
    return _generated(model, Prompt(source=source, extension=extension, given=b""), max_bytes)


def _generated(model: Path, prompt: Prompt, max_bytes: int | None) -> bytes:
    """Return what the model writes after `prompt`, at most what fits its sequence."""
    longest = read_config(model)[0].max_patches
    file = Segment(extension=prompt.extension, data=prompt.given)
    used = num_patches([file] if prompt.source is None else [prompt.source, file])
    room = (longest - used) * PATCH_SIZE + -len(prompt.given) % PATCH_SIZE
    if room < 1:
        raise TooLong(f"what is given takes {used} of the {longest} patches that the model reads")
    written = load_byte_model(model).generate([prompt], [min(room, max_bytes or room)])
    assert written is not None
    return written[0]
