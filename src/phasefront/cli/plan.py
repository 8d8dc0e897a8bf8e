"""What a microscope session to come would tell of insertion mechanisms, and what it would not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from phasefront.core.errors import InputError
from phasefront.diffraction import rotations
from phasefront.diffraction.crystals import laue_rotations
from phasefront.experiment.load import load
from phasefront.experiment.settings.interfaces import InterfaceSettings
from phasefront.interfaces.fields import contents_of_fields
from phasefront.mechanisms import order, planning, population
from phasefront.mechanisms.fields import COVARIATES
from phasefront.mechanisms.gathering import FEWEST_GRAINS
from phasefront.mechanisms.morphology import Morphologist
from phasefront.mechanisms.population import Detection, Verdict

# Shares caught, and what a population of each should be called.
_SHARES: dict[float, Verdict] = {
    0.02: "one by one", 0.2: "cannot be told", 0.5: "concurrent",
}  # fmt: skip
# Smaller grains have no interface.
_FEWEST_POSITIONS = InterfaceSettings().min_positions
# States nearer to the ends of a field catch few grains of any population.
_MIDDLE = (0.3, 0.7)
_ENOUGH = 20  # caught grains: more are not simulated
_SEED = 1


@dataclass(frozen=True)
class Field:
    """Two phases that coexist between two ion contents."""

    name: str
    low: float
    high: float

    def place(self, x: float) -> float:
        """Where an ion content lies, 0 to 1 of the field's width inside of it."""
        return (x - self.low) / (self.high - self.low)


def plan(
    config: list[Path], grains: int, diameter: float, step: float, x: list[float], power: float
) -> int:
    """Print what so many grains of each state would tell.

    Parameters
    ----------
    config
        Config files that name phases and two-phase fields; none for one field from 0 to 1 ion in a
        lattice of point group mmm.
    grains
        Seen in each state.
    diameter, step
        Of grains and of the scan, nm.
    x
        Ion contents of the states; the middle of each field if none.
    power
        Wanted probability of the right verdict.

    Raises InputError for what no session can be.
    """
    _check(grains, diameter, step, x, power)
    fields, group = _of(config)
    contents = x or [0.5 * (field.low + field.high) for field in fields]
    console = Console(highlight=False, soft_wrap=True)
    detection = Morphologist.read().detection
    console.print(
        f"{grains} grains in each state, {diameter:g} nm or {diameter / step:.0f} positions across."
        f" A grain between the phases is seen so with {detection.recall:.2f}, one of one phase"
        f" taken for it with {detection.false_alarm:.3f} (simulated grains of other regimes)."
    )
    for field in fields:
        states = {one: field.place(one) for one in contents if 0.0 <= field.place(one) <= 1.0}
        console.print(f"\n[bold]{field.name}[/bold]")
        if not states:
            console.print(
                f"No state lies in it ({field.low:g} to {field.high:g} ions), so no grain can be"
                " caught there: it tells nothing of how grains convert."
            )
            continue
        console.print(_caught(states, grains))
        used = [p for p in states.values() if _MIDDLE[0] <= round(p, 9) <= _MIDDLE[1]]
        if not used:
            console.print(
                "No state lies in the middle of the field: choose"
                f" x between {_at(field, _MIDDLE[0])} and {_at(field, _MIDDLE[1])}."
            )
            continue
        if len(used) < len(states):
            console.print("What follows is of the states between 0.3 and 0.7 of the field.")
        number = grains * len(used)
        shares = {share: float(planning.caught_at(used, share).mean()) for share in _SHARES}
        console.print(_verdicts(number, shares, power, detection))
        console.print(_smallest(number))
        console.print(_planes(number, shares, diameter / step, group))
    return 0


def _check(grains, diameter, step, x, power) -> None:
    def refuse(option: str, problem: str, remedy: str):
        raise InputError("phasefront plan", problem, field=option, remedy=remedy)

    for option, value in (("--diameter", diameter), ("--step", step)):
        if not 0.0 < value < math.inf:
            refuse(option, f"{value:g} nm is no length", "give it in nm, above 0")
    if not 0.0 < power < 1.0:
        refuse("--power", f"{power:g} is no power that can be had", "give it between 0 and 1")
    if not all(map(math.isfinite, x)):
        refuse("--x", "an ion content is not finite", "give ions per formula unit")
    if not FEWEST_GRAINS <= grains <= 1_000_000:
        refuse(
            "--grains", f"{grains} grains tell nothing of a population"
            if grains < FEWEST_GRAINS else f"no session sees {grains} grains",
            f"give at least {FEWEST_GRAINS}, better 30",
        )  # fmt: skip
    if diameter / step < _FEWEST_POSITIONS:
        refuse(
            "--step", f"grains of {diameter / step:.1f} positions across show no front",
            f"scan in steps of at most {diameter / _FEWEST_POSITIONS:.3g} nm, better"
            f" {diameter / 20:.3g} nm",
        )  # fmt: skip


def _of(config: list[Path]) -> tuple[list[Field], str | None]:
    """Two-phase fields, and the point group of the lattice that their phases share."""
    if not config:
        return [Field("a two-phase field from 0 to 1", 0.0, 1.0)], "mmm"
    material = load(*config).material
    pairs = contents_of_fields(material.names, material.ion_contents, material.two_phase_fields)
    if not pairs:
        raise InputError(
            config[-1], "its phases hold the same ions, so none converts to another",
            field="material.phases", remedy="name phases of different ion contents",
        )  # fmt: skip
    names = material.names
    fields = [
        Field(f"{names[poor]} to {names[rich]}", low, high)
        for (rich, poor), (high, low) in pairs.items()
    ]
    return fields, material.parent_point_group


def _at(field: Field, place: float) -> str:
    return f"{field.low + place * (field.high - field.low):.3g}"


def _caught(states: dict[float, float], grains: int) -> Table:
    table = Table("ion content", "of the field", title="Grains caught on the way, expected")
    for share in _SHARES:
        table.add_column(f"if {share:.0%} are in the middle", justify="right")
    for x, place in states.items():
        expected = [grains * float(planning.caught_at(place, share)) for share in _SHARES]
        table.add_row(f"{x:g}", f"{place:.2f}", *(f"{one:.1f}" for one in expected))
    return table


def _verdicts(grains: int, shares: dict[float, float], power: float, detection: Detection) -> Table:
    table = Table(
        "caught", "should be called", "is", "is called the other", "cannot be told",
        f"grains for {power:g}", title=f"One by one or concurrent, {grains} grains",
    )  # fmt: skip
    for share, right in _SHARES.items():
        chances = population.power(shares[share], grains, detection)
        if right == "cannot be told":
            wrong = 1.0 - chances[right]
        else:
            wrong = 1.0 - chances[right] - chances["cannot be told"]
        needed = population.grains_needed(shares[share], right, power, detection)
        table.add_row(
            f"{share:.0%}", "neither" if right == "cannot be told" else right,
            f"{chances[right]:.2f}", f"{max(wrong, 0.0):.3f}", f"{chances['cannot be told']:.2f}",
            "over 1000" if needed is None else str(needed),
        )  # fmt: skip
    return table


def _smallest(grains: int) -> str:
    shift = order.smallest_shift(grains, 0.5)
    log_odds = order.smallest_log_odds(grains, 0.5, len(COVARIATES))
    reach = f"{shift:.2g}" if shift < 0.5 else "more than there can be (0.5)"
    covariates = (
        f"where it changes the log odds by {log_odds:.2g} per standard deviation or more"
        if math.isfinite(log_odds)
        else "never, however strong"
    )
    return (
        f"Which grains go first, half of them converted: size shows where it shifts the area under"
        f" the curve by {reach} or more; one of {len(COVARIATES)} covariates {covariates}"
        " (power 0.8 at 5 %)."
    )


def _planes(
    grains: int, shares: dict[float, float], positions: float, group: str | None
) -> Table | str:
    """Habit planes that caught grains would give, or why none."""
    if group is None:
        return "No habit plane: the phases share no lattice (parent_axes, parent_point_group)."
    operations = rotations.matrices(laue_rotations(group))
    table = Table(
        "caught", "grains", "traces", "error of a trace", "plane off by", "95 % region",
        "off by, with tilts", "95 % region, with tilts",
        title="Habit plane, 90th percentiles in degrees",
    )  # fmt: skip
    for share, expected in shares.items():
        caught = round(grains * expected)
        if caught < FEWEST_GRAINS:
            table.add_row(f"{share:.0%}", str(caught), "too few for a plane", *5 * ["–"])
            continue
        for seen in ("clean", "poor"):
            error = planning.trace_error_deg(positions, seen)
            row = []
            for tilts in (False, True):
                found = planning.expected_plane(
                    min(caught, _ENOUGH), error, operations, tilts=tilts, seed=_SEED
                )
                row += [f"{found.error_deg:.1f}", f"{found.region_deg:.1f}"]
            number = str(caught) if caught <= _ENOUGH else f"{caught} (as {_ENOUGH})"
            table.add_row(f"{share:.0%}", number, seen, f"{error:.1f}", *row)
    return table
