"""A table of x86 in the making: forms, each added once, and the entries that use them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from simulators.cpu.isa.table import Entry, Form, Scope, Use, Variable
from simulators.cpu.isa.x86.forms import NONE, Effect, Number, Place, Shape, make_form

Step = tuple[Form, tuple[int, ...]]
"""An instruction of an idiom: its form and, for each operand, a variable's number or `TARGET`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """A way to address the data window, for operands of any size."""

    place: Place
    variables: tuple[Variable, ...]
    """Of the whole idiom; the operands of `place` are the last ones."""
    opening: tuple[Step, ...] = ()
    """What brings the index within bounds."""

    def operands(self) -> tuple[int, ...]:
        """Return the variables of the place's operands."""
        first = len(self.variables) - self.place.num_operands
        return tuple(range(first, len(self.variables)))


@dataclass(kw_only=True, slots=True)
class Draft:
    """Forms and entries so far."""

    bits: int
    """Of the mode: 16 or 64."""
    shapes: tuple[Shape, ...]
    _forms: dict[str, Form] = field(default_factory=dict[str, Form])
    _entries: dict[str, Entry] = field(default_factory=dict[str, Entry])

    @property
    def forms(self) -> tuple[Form, ...]:
        """Return the forms, in the order in which they came."""
        return tuple(self._forms.values())

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return the entries, in the order in which they came."""
        return tuple(self._entries.values())

    @property
    def word(self) -> Shape:
        """Return the shape of the mode's own registers."""
        return next(shape for shape in self.shapes if shape.width == self.bits)

    def shape(self, name: str) -> Shape:
        """Return a shape by name."""
        return next(shape for shape in self.shapes if shape.name == name)

    def form(
        self,
        name: str,
        klass: str,
        opcode: bytes,
        text: str,
        effect: Effect = NONE,
        *,
        shape: Shape | None = None,
        place: Place | None = None,
        size: int | None = None,
        register: Mapping[int, str] | int | None = None,
        in_opcode: bool = False,
        number: Number | None = None,
        distance_bits: int = 0,
        writes: int = 0,
        aliases: tuple[str, ...] = (),
    ) -> Form:
        """Make a form and add it; what the arguments mean, `make_form` says."""
        form = make_form(
            name,
            klass,
            opcode,
            text,
            effect,
            shape=shape,
            place=place,
            size=size,
            register=register,
            in_opcode=in_opcode,
            number=number,
            distance_bits=distance_bits,
            writes=writes,
            aliases=aliases,
        )
        known = self._forms.setdefault(name, form)
        assert known == form, f"two forms are called {name}"
        return form

    def single(self, form: Form, *variables: Variable, weight: int = 1, klass: str = "") -> None:
        """Add an entry of one instruction, a variable for each of its operands."""
        self.idiom(
            form.name,
            klass or form.klass,
            variables,
            (form, tuple(range(len(form.operands)))),
            weight=weight,
        )

    def idiom(
        self,
        name: str,
        klass: str,
        variables: Iterable[Variable],
        *opening: Step,
        weight: int = 1,
        scope: Scope = "none",
        closing: tuple[Step, ...] = (),
        protected: int | None = None,
    ) -> None:
        """Add an entry of several instructions; a number is added to a name that is taken."""
        number, unique = 2, name
        while unique in self._entries:
            unique, number = f"{name} #{number}", number + 1
        self._entries[unique] = Entry(
            name=unique,
            klass=klass,
            weight=weight,
            variables=tuple(variables),
            opening=_uses(opening),
            scope=scope,
            closing=_uses(closing),
            protected=protected,
        )


def _uses(steps: Iterable[Step]) -> tuple[Use, ...]:
    return tuple(Use(form=form.name, operands=operands) for form, operands in steps)
