"""What stands in which column of which task: labels, units, directions and plain-word meanings.

The table of metric names is closed knowledge of the leaderboard; a metric it does not know is still
shown, unranked, under its own name. It holds no values.
"""

from dataclasses import dataclass
from typing import Literal

from simulators.cpu.isa.catalogue import ISAS

Unit = Literal["percent", "bits", "score", "nats", "plain"]
Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One metric as the page shows it."""

    name: str
    label: str
    """What the column's head says, below its group."""
    full: str
    """The metric in words, where no group stands above it."""
    group: str
    unit: Unit
    better: Better | None
    """None: a control, or a metric we do not know; it is never ranked."""
    meaning: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskText:
    """One task as the page introduces it."""

    name: str
    title: str
    rule: str
    primary: tuple[str, ...]
    """Metrics to rank by at first: the first one that any entry has."""


FORCED = "Teacher-forced"
FREE = "Free-running"
SOURCE = "Does it read its source?"
OTHER = "Other"

_ROWS: tuple[tuple[str, str, str, str, Unit, Better | None, str], ...] = (
    (
        "teacher_forced_state_accuracy", "Whole states", "whole-state accuracy", FORCED, "percent",
        "higher", "Share of CPU states of which all bytes are predicted right, the true bytes "
        "before each one being given.",
    ),
    (
        "teacher_forced_trace_accuracy", "Whole traces", "whole-trace accuracy", FORCED, "percent",
        "higher", "Share of programs of which every byte of every state is predicted right, the "
        "true bytes before each one being given.",
    ),
    (
        "teacher_forced_bits_per_byte", "Bits per byte", "bits per byte", FORCED, "bits", "lower",
        "How many bits the entry needs, on average, to say one byte of the target. 0 is certainty, "
        "8 is a blind guess.",
    ),
    (
        "teacher_forced_byte_accuracy", "Bytes", "byte accuracy", FORCED, "percent", "higher",
        "Share of the target's bytes predicted right, the true bytes before each one being given. "
        "It flatters: most bytes of a CPU state never change.",
    ),
    (
        "authors_nats_per_token", "Authors’ nats", "authors’ nats per token", FORCED, "nats",
        "lower", "The loss as the paper’s authors average it: nats per token, padding included. It "
        "reads lower than bits per byte and is not comparable with it.",
    ),
    (
        "teacher_forced_bits_per_byte_shuffled_source", "Wrong source",
        "bits per byte with a wrong source", SOURCE, "bits", None,
        "Bits per byte of the same targets when each one comes with another sample’s source. A "
        "control, so it is not ranked.",
    ),
    (
        "shuffled_source_cost", "Cost of it", "cost of a wrong source", SOURCE, "bits", None,
        "Bits per byte with the wrong source minus bits per byte with the right one. About 0 means "
        "that the source is not read at all.",
    ),
    (
        "free_running_state_accuracy", "Whole states", "whole-state accuracy, free-running", FREE,
        "percent", "higher", "Whole states when the entry goes on from its own output. Missing and "
        "surplus bytes count as wrong.",
    ),
    (
        "free_running_trace_accuracy", "Whole traces", "whole-trace accuracy, free-running", FREE,
        "percent", "higher", "Programs simulated to the end without one wrong byte, from the "
        "entry’s own output.",
    ),
    (
        "free_running_file_accuracy", "Exact files", "exact files, free-running", FREE, "percent",
        "higher", "Share of files that come out byte for byte.",
    ),
    (
        "free_running_file_accuracy_true_lengths", "Exact but for lengths",
        "exact files but for the declared lengths, free-running", FREE, "percent", "higher",
        "Share of MIDI files that come out byte for byte once each track declares the length that "
        "it has. The length stands before the notes that it counts.",
    ),
    (
        "free_running_valid_file_share", "Valid", "valid files, free-running", FREE, "percent",
        "higher", "Share of written files that are whole: a MIDI file that a strict reader takes "
        "to its last byte, an ABC text of one tune that abc2midi converts without an error.",
    ),
    (
        "free_running_note_f1", "Note F1", "note F1, free-running", FREE, "score", "higher",
        "Harmonic mean of precision and recall over notes (onset, pitch, duration), of what can be "
        "read of the written MIDI or of what abc2midi makes of the written ABC; 1 is every note "
        "right.",
    ),
    (
        "free_running_key_accuracy", "Key", "key, free-running", FREE, "percent", "higher",
        "Share of written tunes in the right key, as the head of the tune names it.",
    ),
    (
        "free_running_metre_accuracy", "Metre", "metre, free-running", FREE, "percent", "higher",
        "Share of written tunes in the right metre, as the head of the tune names it.",
    ),
    (
        "free_running_bar_accuracy", "Bars", "bars, free-running", FREE, "percent", "higher",
        "Share of bars that hold the right notes and rests at the right place of the tune, as they "
        "are written down; ornaments do not count. A bar too many shifts all that follow.",
    ),
    (
        "free_running_full_bar_share", "Full bars", "full bars, free-running", FREE, "percent",
        "higher", "Share of the written tune’s inner bars that last exactly as long as its metre "
        "asks. It asks for sense, not for the right tune; real tunes have some odd bars too.",
    ),
    (
        "free_running_edit_similarity", "Edits", "edit similarity, free-running", FREE, "score",
        "higher", "1 minus the share of bytes to insert, delete or replace until the written file "
        "is the true one. One byte too many costs one byte here, and all that follow in Bytes.",
    ),
    (
        "free_running_byte_accuracy", "Bytes", "byte accuracy, free-running", FREE, "percent",
        "higher", "Bytes right at their place when the entry goes on from its own output.",
    ),
)  # fmt: skip

COLUMNS: dict[str, Column] = {
    row[0]: Column(
        name=row[0],
        label=row[1],
        full=row[2],
        group=row[3],
        unit=row[4],
        better=row[5],
        meaning=row[6],
    )
    for row in _ROWS
}

_SIMULATION = ("teacher_forced_state_accuracy", "teacher_forced_byte_accuracy")
_CONVERSION = ("teacher_forced_bits_per_byte", "teacher_forced_byte_accuracy")

TASKS: dict[str, TaskText] = {
    "cpu-toy": TaskText(
        name="cpu-toy",
        title="Simulate a CPU",
        rule="Given: a program in memory and the first state of the machine. Scored: every state "
        "after it, one per executed instruction.",
        primary=_SIMULATION,
    ),
    **{
        f"cpu-{isa.name}": TaskText(
            name=f"cpu-{isa.name}",
            title=f"Simulate {isa.title}",
            rule="Given: a machine program, its data window and the first state. Scored: the state "
            "after every executed instruction.",
            primary=_SIMULATION,
        )
        for isa in ISAS.values()
    },
    "abc-to-midi": TaskText(
        name="abc-to-midi",
        title="Play sheet music",
        rule="Given: a tune in ABC notation. Scored: the MIDI file that abc2midi makes of it, byte "
        "by byte.",
        primary=_CONVERSION,
    ),
    "midi-to-abc": TaskText(
        name="midi-to-abc",
        title="Write music down",
        rule="Given: a MIDI file. Scored: the tune in ABC notation that it was made from, byte by "
        "byte.",
        primary=_CONVERSION,
    ),
}


def column(name: str) -> Column:
    """Return the column of metric `name`, a plain unranked one where the name is not known."""
    if name in COLUMNS:
        return COLUMNS[name]
    label = name.replace("_", " ")
    return Column(
        name=name,
        label=label,
        full=label,
        group=OTHER,
        unit="plain",
        better=None,
        meaning="A metric of the report that this page has no words for.",
    )


def task_text(name: str) -> TaskText:
    """Return the words for task `name`, its bare name where the page has none."""
    return TASKS.get(
        name, TaskText(name=name, title=name, rule="See the benchmark’s own text.", primary=())
    )


def column_order(name: str) -> tuple[int, str]:
    """Return a sort key that puts columns in the order of the table above, unknown ones last."""
    names = list(COLUMNS)
    return (names.index(name) if name in COLUMNS else len(names), name)
