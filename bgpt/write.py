"""Files that a trained model writes for a person: continuations, simulations, conversions.

It knows what a model was trained for, from the provenance in its `config.json`, and refuses what
it was not; then it makes prompts and has them decoded (`bgpt.generate`). It reads and writes no
files of the user's; the commands do. The benchmark predicts on its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

from bgpt.checkpoint import load_model, read_config
from bgpt.decoder import Written
from bgpt.decoding_copy import DecodingModel, prepare
from bgpt.generate import Decoding, decode, nothing
from bgpt.patching import TooLong, num_patches
from bgpt.protocol import Prompt
from bgpt.sampling import Sampling
from bgpt.trained_for import Provenance, directions_of, is_silent, simulation_of
from pipelines.sample import Segment
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.midi.files import with_true_lengths


@final
class Writer:
    """A model in a folder, ready to write. Its weights are read when they are first needed."""

    def __init__(
        self,
        path: Path,
        *,
        int8: bool = False,
        device: str = "cpu",
        declared: Provenance | None = None,
    ) -> None:
        """Read what the model is.

        It will compute, and keep its caches, on `device`. `declared` is what it was trained to do,
        where its own provenance says nothing of it.

        Raises:
            CheckpointError: `path` is no model.
        """
        self.path = path
        self.config, found = read_config(path)
        self.provenance: Provenance = {**found, **(declared or {})} if is_silent(found) else found
        self._int8 = int8
        self._device = device
        self._ready: DecodingModel | None = None

    def room(self, prompt: Prompt) -> int:
        """Return how many bytes can follow a prompt.

        Raises:
            TooLong: none.
        """
        file = Segment(extension=prompt.extension, data=prompt.given)
        longest, size = self.config.max_patches, self.config.patch_size
        used = num_patches([file] if prompt.source is None else [prompt.source, file], size)
        room = (longest - used) * size + -len(prompt.given) % size
        if room < 1:
            raise TooLong(
                f"what is given takes {used} of the {longest} patches that the model reads; "
                "nothing can follow it"
            )
        return room

    def require_room(self, name: str | Path, prompt: Prompt) -> None:
        """Refuse a prompt, made of the file `name`, that nothing can follow.

        Raises:
            TooLong: the message begins with the name.
        """
        try:
            self.room(prompt)
        except TooLong as error:
            raise TooLong(f"{name}: {error}") from error

    def write(
        self,
        prompts: Sequence[Prompt],
        *,
        max_bytes: int | None = None,
        sampling: Sampling | None = None,
        keys: Sequence[int | str] | None = None,
        on_bytes: Callable[[int, bytes], None] = nothing,
    ) -> list[Written]:
        """Write after each prompt; as much as fits, or `max_bytes` if that is less.

        See `bgpt.generate.decode`.

        Raises:
            CheckpointError: the weights cannot be read.
            TooLong: a prompt leaves no room.
        """
        limits = [min(self.room(prompt), max_bytes or self.room(prompt)) for prompt in prompts]
        if self._ready is None:
            self._ready = prepare(load_model(self.path).to(self._device), int8=self._int8)
        how = Decoding(sampling=sampling)
        return decode(self._ready, prompts, limits, how, keys=keys, on_bytes=on_bytes)

    def simulation(self, corpus: str | None = None) -> Provenance:
        """Return what the model says of the machine of corpus `corpus`, or of the only one.

        Raises:
            ValueError: it simulates none, not this one, or several.
        """
        return simulation_of(self.path, self.provenance, corpus)

    def simulation_prompt(self, name: str, sample: Segment, size: int) -> Prompt:
        """Return the prompt of a simulation: the `size` bytes of memory and first state.

        `sample` begins with them; what follows is left out.

        Raises:
            ValueError: the sample is too short.
        """
        if len(sample.data) < size:
            raise ValueError(
                f"{name}: {len(sample.data)} bytes; this model needs {size}, the memory block "
                "and the first state"
            )
        return Prompt(source=None, extension=sample.extension, given=sample.data[:size])

    def directions(self) -> list[tuple[str, str]]:
        """Return (from, to) of every conversion that the model was trained for."""
        return directions_of(self.provenance)

    def target_of(self, sources: set[str], extension: str | None = None) -> str:
        """Return the extension that files of extensions `sources` become, `extension` if given.

        Raises:
            ValueError: the model does not convert so, or in several ways and none was said.
        """
        known = self.directions()
        if extension is None:
            targets = {target for source, target in known if source in sources}
            if len(targets) > 1:
                raise ValueError(
                    f"{self.path}: converts into {' and '.join(sorted(targets))}; say which with "
                    "--to"
                )
            extension = targets.pop() if targets else None
        if not known and is_silent(self.provenance):
            raise ValueError(
                f"{self.path}: does not say what it was trained to convert; pass --to mid or "
                "--to abc here, or --direction to bgpt import"
            )
        if not any((source, extension) in known for source in sources):
            names = [f"{source}-to-{target}" for source, target in known]
            trained = (
                f"was trained on {', '.join(names)}" if names else "was not trained to convert"
            )
            shown = "/".join(f".{source}" for source in sorted(sources))
            raise ValueError(
                f"{self.path}: {trained}; it cannot turn {shown} into .{extension or '?'}"
            )
        assert extension is not None
        return extension

    def conversion_prompt(self, name: str, source: Segment, extension: str) -> Prompt:
        """Return the prompt of a conversion; ABC is brought into canonical form first.

        Raises:
            ValueError: the file is empty, too long, or no tune.
        """
        if not source.data:
            raise ValueError(f"{name}: an empty file; there is nothing to convert")
        if source.extension == "abc":
            try:
                text = canonicalise(source.data.decode("utf-8"))
            except (TuneRejected, UnicodeDecodeError) as error:
                raise ValueError(f"{name}: not a tune that can be converted: {error}") from error
            source = Segment(extension="abc", data=text.encode())
        prompt = Prompt(source=source, extension=extension, given=b"")
        self.require_room(name, prompt)
        return prompt


def mended(data: bytes, extension: str) -> bytes:
    """Return a converted file as a reader wants it: MIDI tracks declare the lengths that they have.

    No model can know the length of a track before its notes.
    """
    return with_true_lengths(data) if extension == "mid" else data
