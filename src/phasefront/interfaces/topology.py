"""Domains of each phase in a grain, and where their interface meets the outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from phasefront.interfaces.columns import Columns
from phasefront.interfaces.surroundings import Outline

# Patches of fewer positions are specks: a wrong decision or two look the same.
SPECK = 4
# Where more of the labels than this are expected to be wrong, domains are not counted.
_MOST_WRONG = 0.06
# Shorter stretches of the outline are no contact.
_SHORTEST_STRETCH = 2
_WITH_CORNERS = np.ones((3, 3), dtype=bool)  # eight neighbours


@dataclass(frozen=True)
class Topology:
    """Numbers of domains, -1 where labels are too uncertain to count them."""

    rich_domains: int
    poor_domains: int
    contacts: int  # of the interface with the outline
    specks: int  # positions in patches too small to count
    label_error: float  # expected share of wrong labels
    label: np.ndarray  # (y, x) 1 rich, 0 poor, -1 outside; without specks


def topology_of(columns: Columns, inside: np.ndarray, outline: Outline) -> Topology:
    """Count domains of the likelier phase of each position.

    A position that says nothing takes the label of the nearest that does. Patches below SPECK
    positions, corners joined, take the phase around them. Domains are joined by sides.
    """
    label = np.full(inside.shape, -1)
    label[columns.y, columns.x] = columns.rich > 0.5
    known = label >= 0
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    label = np.where(inside, label[tuple(nearest)], -1)
    specks = 0
    for phase in (0, 1):
        patch, _ = ndimage.label(label == phase, structure=_WITH_CORNERS)
        size = np.bincount(patch.ravel())
        small = (size[patch] < SPECK) & (patch > 0)
        if small.sum() == (label == phase).sum():
            continue  # all there is of the phase: counted as domains of none below
        specks += int(small.sum())
        label[small] = 1 - phase
    wrong = float(np.mean(np.minimum(columns.rich, 1 - columns.rich)))
    if wrong > _MOST_WRONG:
        return Topology(-1, -1, -1, specks, wrong, label)
    rich, poor = (_domains(label == phase) for phase in (1, 0))
    return Topology(rich, poor, _contacts(label, outline), specks, wrong, label)


def _domains(mask: np.ndarray) -> int:
    patch, _ = ndimage.label(mask)
    return int((np.bincount(patch.ravel())[1:] >= SPECK).sum())


def _contacts(label: np.ndarray, outline: Outline) -> int:
    """How often the phase changes on the way round the outline."""
    along = label[outline.inside[:-1, 0], outline.inside[:-1, 1]]
    while True:
        change = np.flatnonzero(along != np.roll(along, 1))
        if len(change) == 0:
            return 0
        length = np.diff(np.append(change, change[0] + len(along)))
        shortest = int(length.argmin())
        if length[shortest] >= _SHORTEST_STRETCH:
            return len(change)
        begin = change[shortest] + np.arange(length[shortest])
        along[begin % len(along)] = 1 - along[begin[0] % len(along)]
