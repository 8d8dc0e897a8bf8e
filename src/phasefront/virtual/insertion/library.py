"""Makes the file of simulated and drawn grains, `grains.nc` beside this module, in some two minutes
of one core, by

    python -m phasefront.virtual.insertion.library grains.nc --parts FOLDER

which keeps each regime in FOLDER and goes on where it was stopped.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import xarray as xr

from phasefront.core import netcdf
from phasefront.virtual.insertion import cartoons, morphology, phase_field
from phasefront.virtual.insertion.outlines import draw_outlines
from phasefront.virtual.insertion.regimes import REGIMES, Drawn, Physics
from phasefront.virtual.insertion.table import CELLS, FULL, INSERTION

CONVERTED = (0.15, 0.3, 0.5, 0.7, 0.85)  # shares at which grains are kept; made up
# How far from these a lone grain's states are at most, so that no share stands for a state.
_JITTER = 0.06
# A history is told from states at these converted shares.
_HISTORY = np.linspace(0.06, 0.94, 23)
_START, _NOISE = 0.03, 0.01  # ion content of an empty crystal, and its rms from cell to cell
# Faster reaction of the outline where ions come through it alone, for its share of the cells.
_OUTLINE_RATE = 4.0


def make_regime(name: str, seed: int) -> xr.Dataset:
    """The grains of one regime, as an INSERTION dataset; the same ones whatever else is made."""
    regime = REGIMES[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    made = _drawn(regime, rng) if isinstance(regime, Drawn) else _simulated(regime, rng)
    inside, states, histories, inserting, circuit = made
    count = len(inside)
    labels, looks = np.zeros(count, int), np.zeros((count, len(CONVERTED)), int)
    shares = np.zeros((count, len(morphology.MORPHOLOGIES)))
    number = morphology.MORPHOLOGIES.index
    for grain in range(count):
        told = {"inside": inside[grain], "inserting": bool(inserting[grain])}
        shares[grain] = morphology.shares_of_history(histories[grain], **told)
        labels[grain] = number(morphology.morphology_of_history(shares[grain]))
        looks[grain] = [
            number(morphology.morphology_of_state(state, **told)) for state in states[grain]
        ]
    margin = (CELLS - regime.size) // 2
    border = ((0, 0), (margin, margin), (margin, margin))
    filled = np.rint(FULL * np.clip(_lever(regime, states), 0, 1)) * inside[:, None]
    return netcdf.build(
        INSERTION,
        {
            "regime": [name], "part": [regime.part],
            "family": ["drawn" if isinstance(regime, Drawn) else "phase field"],
            "morphology": list(morphology.MORPHOLOGIES), "converted": CONVERTED,
            "grain_regime": np.zeros(count), "circuit": circuit, "inserting": inserting,
            "history": shares, "label": labels, "appearance": looks,
            "inside": np.pad(inside, border), "share": np.pad(filled, (border[0], *border)),
        },
        {"seed": seed},
    )  # fmt: skip


def join(parts: list[xr.Dataset]) -> xr.Dataset:
    """All regimes in one INSERTION dataset; potentials are numbered through."""
    regime, circuit, moved = 0, 0, []
    for part in parts:
        moved.append(
            part.assign(
                grain_regime=part["grain_regime"] + np.int16(regime),
                circuit=part["circuit"] + np.int16(circuit),
            )
        )
        regime, circuit = regime + part.sizes["regime"], int(moved[-1]["circuit"].max()) + 1
    data = {}
    for name, declared in INSERTION.variables.items():
        grows = declared.dims[0] in ("grain", "regime")
        values = [part[name].values for part in moved]
        data[name] = np.concatenate(values) if grows else values[0]
    return netcdf.build(INSERTION, data, {"seed": parts[0].attrs["seed"]})


def _lever(regime: Physics | Drawn, content: np.ndarray) -> np.ndarray:
    poor = 0.0 if isinstance(regime, Drawn) else phase_field.binodal(regime.omega)
    return (content - poor) / (1 - 2 * poor)


def _drawn(regime: Drawn, rng: np.random.Generator):
    kinds = regime.kind_of_grain
    inside = draw_outlines(len(kinds), regime.size, rng)
    inserting = np.arange(len(kinds)) % 2
    states, histories = [], []
    for grain, kind in enumerate(kinds):
        wanted = _wanted(rng)
        both = np.concatenate([wanted, _HISTORY])
        drawn = cartoons.draw_history(kind, inside[grain], both, rng)
        if not inserting[grain]:
            drawn = np.where(inside[grain], 1 - drawn, 0)
        states.append(drawn[: len(wanted)])
        histories.append(drawn[len(wanted) :])
    return inside, np.array(states), histories, inserting, np.arange(len(kinds))


def _wanted(rng: np.random.Generator) -> np.ndarray:
    return np.array(CONVERTED) + rng.uniform(-_JITTER, _JITTER, len(CONVERTED))


def _simulated(regime: Physics, rng: np.random.Generator):
    count = regime.grains
    inside = draw_outlines(count, regime.size, rng)
    circuit = np.arange(count) // regime.circuit
    circuits = circuit.max() + 1
    wetting = rng.uniform(*regime.wetting, count)
    # A lower current is the same as a faster reaction, and lets all fill at the same time.
    relative = rng.uniform(*regime.current, circuits)[circuit] / max(regime.current)
    rate = _rates(regime, inside, rng) / relative[:, None, None]
    grains = phase_field.Grains(inside, rate, wetting, circuit, regime.mobility)
    entering = np.arange(circuits) % 2 if circuits > 1 else rng.integers(0, 2, 1)
    inserting = entering[circuit]
    sites = np.bincount(circuit, inside.sum(axis=(1, 2)))
    current = max(regime.current) * sites * np.where(entering, 1, -1)
    noise = np.clip(_NOISE * rng.standard_normal(inside.shape), -0.9 * _START, 0.9 * _START)
    start = np.where(grains.per_cell(inserting), _START, 1 - _START) + noise
    strain = 0.0
    if regime.coherent is not None:
        shape = inside.shape[1:]
        strain = regime.coherency * phase_field.strain_of_waves(regime.coherent.energy, shape)
    wanted = np.stack([_wanted(rng) for _ in range(count)])
    if regime.circuit > 1:
        wanted[:] = CONVERTED
    film = _Film(grains, inserting, sites, wanted)
    for moment in phase_field.simulate(
        grains, phase_field.Energy(regime.omega, regime.kappa, strain), start, current=current,
        longest_step=0.004 / max(regime.current),
    ):  # fmt: skip
        if film.is_complete(moment):
            break
    return inside, np.array(film.states), film.histories, inserting, circuit


def _rates(regime: Physics, inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rate constant of every cell, with mean 1 in each grain."""
    from scipy import ndimage

    patches = rng.standard_normal(inside.shape)
    patches = ndimage.gaussian_filter(patches, (0, regime.patch, regime.patch), mode="wrap")
    logarithm = regime.unevenness * patches / patches.std(axis=(1, 2), keepdims=True)
    side = np.linspace(-1, 1, regime.size)
    turn = rng.uniform(0, 2 * np.pi, (len(inside), 1, 1))
    along = np.cos(turn) * side + np.sin(turn) * side[:, None]
    bow = rng.uniform(*regime.bow, (len(inside), 1, 1))
    logarithm += regime.lean * along / 2 + bow * along**2
    rate = np.exp(logarithm) * inside
    rate *= (inside.sum(axis=(1, 2)) / rate.sum(axis=(1, 2)))[:, None, None]
    if regime.through_outline:
        rate *= _OUTLINE_RATE * np.stack([morphology.rim(one) for one in inside])
    return rate


class _Film:
    """Keeps the moments at which grains have converted by so much."""

    def __init__(self, grains: phase_field.Grains, inserting, sites, wanted):
        self.grains, self.inserting, self.sites, self.wanted = grains, inserting, sites, wanted
        count = len(grains.inside)
        self.states: list[list[np.ndarray]] = [[] for _ in range(count)]
        self.histories: list[list[np.ndarray]] = [[] for _ in range(count)]

    def is_complete(self, moment: phase_field.Moment) -> bool:
        """Take what is due; whether every potential has brought its ions."""
        grains, mean = self.grains, self.grains.mean(moment.content)
        own = np.where(self.inserting, mean, 1 - mean)
        cells = grains.inside.sum(axis=grains.axes)
        common = np.bincount(grains.circuit, own * cells) / self.sites
        for grain, history in enumerate(self.histories):
            states = self.states[grain]
            content = moment.content[grain]
            while len(history) < len(_HISTORY) and own[grain] >= _HISTORY[len(history)]:
                history.append(content)
            converted = common[grains.circuit[grain]]
            while len(states) < len(CONVERTED) and converted >= self.wanted[grain, len(states)]:
                states.append(content)
        return bool(common.min() >= _HISTORY[-1])


def main(arguments: list[str] | None = None) -> None:
    """Make the file named on the command line."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="phasefront.virtual.insertion.library",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", help="netCDF file to write")
    parser.add_argument("--parts", required=True, help="folder for the regimes, one file each")
    parser.add_argument("--seed", type=int, default=20121015, help="%(default)s")
    given = parser.parse_args(arguments)
    parts = []
    for number, name in enumerate(REGIMES):
        path = Path(given.parts) / f"{number:02d}.nc"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            netcdf.write(make_regime(name, given.seed), partial, INSERTION)
            partial.rename(path)
            print(f"{name}: made", flush=True)
        parts.append(netcdf.read(path, INSERTION))
    netcdf.write(join(parts), given.out, INSERTION)


if __name__ == "__main__":
    main()
