"""The options of a music corpus: which tunes, what is made of them, and how they become MIDI."""

from dataclasses import dataclass
from typing import Literal, get_args

from pipelines.sources.tunes import Licence
from simulators.music.conversion.presets import PRESETS, Preset
from simulators.suggest import unknown_name

Material = Literal["tiers", "real", "transposed", "recombined"]
MATERIALS: tuple[Material, ...] = get_args(Material)


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicOptions:
    """Section `corpora.NAME.music` of `params.yaml`."""

    tunes: str = "music21"
    """`music21` for the tunes of the installed package, `irishman` for the data set on the hub,
    `irishman:FOLDER` for a local copy of it, or a folder of `.abc` files."""
    licences: tuple[str, ...] | None = None
    """Keep only tunes under these licences (see `Licence`); `None` keeps all."""
    material: Material = "tiers"
    """What train samples are made of. `tiers`: real tunes up to 10^4 samples, then also real ones
    in other keys up to 10^5, then also recombined ones. The others have that kind only, so that
    scales differ in number and not in kind."""
    preset: Preset = "plain"
    """How ABC becomes MIDI, see `simulators.music.conversion.presets`."""
    control_codes: bool = False
    """Keep the lines `S:`, `B:` and `E:` that IrishMAN has beside each tune, before its ABC."""

    def __post_init__(self) -> None:
        """Refuse an empty path, and names that are not known."""
        if not self.tunes:
            raise ValueError("tunes: give music21, irishman or a folder of .abc files")
        for name in self.licences or ():
            if name not in set(Licence):
                raise ValueError(unknown_name("licence", name, Licence))
        if self.licences is not None and not self.licences:
            raise ValueError("licences: an empty list keeps no tune; leave it out to keep all")
        if self.material not in MATERIALS:
            raise ValueError(unknown_name("material", self.material, MATERIALS))
        if self.preset not in PRESETS:
            raise ValueError(unknown_name("preset", self.preset, PRESETS))
        if self.control_codes and self.material not in ("real", "transposed"):
            raise ValueError(
                "control_codes: a recombined tune has none; they go with material real or "
                "transposed"
            )
