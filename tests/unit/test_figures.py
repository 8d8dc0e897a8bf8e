"""Figures from small synthetic stages: Voronoi grains in vacuum, Gaussian spots, a made-up fit."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from examples import example, example_spots
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.text import Annotation, Text
from orix.quaternion import Rotation, symmetry
from orix.vector import Vector3d
from scipy import ndimage
from sources import compare, make_cycling, make_fractions
from sources import make_powder as make_powder_of
from stages import build_cycling, build_grains, build_phases

from phasefront.diffraction.crystals import read_crystal
from phasefront.experiment.settings.instruments import StatedCamera
from phasefront.layouts.calibration import CALIBRATION
from phasefront.layouts.grains import GRAINS
from phasefront.layouts.orientations import ORIENTATIONS
from phasefront.layouts.pairs import PAIRS
from phasefront.layouts.phases import MIXED, UNDECIDED, UNINDEXED, VACUUM
from phasefront.layouts.powder import POWDER
from phasefront.layouts.scans import SCAN
from phasefront.report.figures import (
    comparison,
    cycling,
    maps,
    pairs,
    patterns,
    powder,
    scans,
    style,
    truth,
)
from phasefront.report.figures.orientation_colours import direction_colours

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["Na3", "Na2", "Na1"]
LABELS = {
    "Na3": "Na$_3$V$_2$(PO$_4$)$_2$F$_3$",
    "Na2": "Na$_2$V$_2$(PO$_4$)$_2$F$_3$",
    "Na1": "NaV$_2$(PO$_4$)$_2$F$_3$",
}
SHAPE = (48, 56)
STEP_NM = 12.8
TURNED = StatedCamera(rotation_deg=30, mirrored=True, rotation_error_deg=1.5)
CAMERA = 96
SCALE = 0.025


def make_labels(seed=0, grains=14):
    """Voronoi grains (y, x) with vacuum (-1) outside a disk-like particle."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform((0, 0), SHAPE, (grains, 2))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    label = np.hypot(y[..., None] - seeds[:, 0], x[..., None] - seeds[:, 1]).argmin(-1)
    label[np.hypot((y - 24) / 22, (x - 28) / 26) > 1 + 0.1 * np.sin(5 * np.arctan2(y, x))] = -1
    return label


def make_phases(seed=0, weights=(0.3, 0.4, 0.3)):
    rng = np.random.default_rng(seed)
    label = make_labels(seed)
    phase = rng.choice(3, label.max() + 1, p=weights)[label]
    evidence = rng.normal(0, 2, (*SHAPE, 3))
    np.put_along_axis(evidence, phase[..., None], rng.normal(5, 2, (*SHAPE, 1)), -1)
    posterior = np.exp(evidence - evidence.max(-1, keepdims=True))
    posterior /= posterior.sum(-1, keepdims=True)
    decision = np.where(posterior.max(-1) > 0.95, posterior.argmax(-1), UNDECIDED)
    decision[label < 0] = VACUUM
    posterior[label < 0] = np.nan
    rotation = Rotation(rng.normal(size=(label.max() + 1, 4))).data[label]
    rotation = np.repeat(rotation[..., None, :], 3, axis=-2)
    rotation[label < 0] = np.nan
    # A mixed rim of every second grain.
    rim = ndimage.maximum_filter(label, 3) != ndimage.minimum_filter(label, 3)
    decision[rim & (label >= 0) & (label % 2 == 0)] = MIXED
    content = np.where(label < 0, np.nan, 3 - phase + rng.normal(0, 0.03, SHAPE))
    return build_phases(
        NAMES, decision, scan="a", rotation=rotation, log_evidence=evidence, posterior=posterior,
        reliability=rng.uniform(0, 0.4, SHAPE), ion_content=content,
        ion_content_stderr=rng.uniform(0.02, 0.04, SHAPE), axial_ratio=1.25 - 0.033 * content,
        axial_ratio_stderr=rng.uniform(0.001, 0.002, SHAPE),
    )  # fmt: skip


def make_grains(seed=0):
    label = make_labels(seed)
    count = label.max() + 1
    return example(
        GRAINS, phase=NAMES, label=label, size=np.bincount(label[label >= 0], minlength=count),
        scan="a", scan_step_nm=STEP_NM, orientation=make_phases(seed)["rotation"].values[:, :, 0],
        orientation_probability=np.linspace(0.5, 1, label.size).reshape(label.shape),
        axes_probability=np.linspace(0.5, 1, label.size).reshape(label.shape),
    )  # fmt: skip


def make_orientations(phases, seed=0):
    rng = np.random.default_rng(seed)
    shape = (*SHAPE, 3, 2)
    rotation = np.repeat(phases["rotation"].values[..., None, :], 2, axis=-2)
    score = rng.beta(5, 3, shape)
    score[phases["decision"].values == VACUUM] = np.nan
    return example(
        ORIENTATIONS, phase=NAMES, rotation=rotation, score=score, residual=0.004,
        indexed=rng.integers(6, 30, shape), scan="a",
    )  # fmt: skip


def make_calibration():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    bins = np.linspace(-0.45, 0.45, 8) * CAMERA
    count = np.where(np.hypot(bins[:, None], bins) < 0.4 * CAMERA, 40, 0)
    return example(
        CALIBRATION, centre_y=47.3 + 0.02 * y - 0.004 * x, centre_x=48.1 + 0.015 * x,
        centre_residual=np.random.default_rng(1).rayleigh(0.08, SHAPE), centre_stderr=0.0031,
        affine=[[SCALE * 1.005, 1e-5], [1e-5, SCALE * 0.995]], affine_stderr=2e-6, scale=SCALE,
        scale_stderr=3.2e-6, ellipse_ratio=1.0101, ellipse_ratio_stderr=0.00013,
        ellipse_angle=31.2, probe_radius=2.4, spot_radius=2.1, beam_radius=6.0, ky=CAMERA,
        kx=CAMERA, outward_shift=0.72, outward_shift_stderr=0.11, bin_y=bins, bin_x=bins,
        residual_y=np.where(count > 0, 0.001 * bins[:, None], np.nan),
        residual_x=np.where(count > 0, -0.002 * bins, np.nan), residual_count=count, scan="a",
        method="d-spacings of the phases, robust least squares on the spots of 250 patterns",
        spots_used=5120, residual_rms=0.0031,
    )  # fmt: skip


def make_lattice(seed):
    """qx, qy, hkl, weight of a rotated square net."""
    rng = np.random.default_rng(seed)
    h, k = np.mgrid[-6:7, -6:7].reshape(2, -1)
    keep = ((h + k) % 2 == 0) & (np.hypot(h, k) > 0) & (np.hypot(h, k) < 9.5)
    h, k = h[keep], k[keep]
    angle = rng.uniform(0, np.pi)
    qx = (np.cos(angle) * h - np.sin(angle) * k) / 9.04
    qy = (np.sin(angle) * h + np.cos(angle) * k) / 9.04
    weight = np.exp(-((np.hypot(qx, qy) / 0.5) ** 2)) * rng.exponential(1, len(h))
    return qx, qy, np.stack([h, k, 0 * h], -1), weight


def make_patterns(positions):
    calibration = make_calibration()
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:CAMERA, :CAMERA]
    patterns, predicted = [], []
    for number, position in enumerate(map(tuple, positions)):
        qx, qy, hkl, weight = make_lattice(number)
        centre = np.array([calibration["centre_x"][position], calibration["centre_y"][position]])
        pixels = np.linalg.inv(calibration["affine"].values) @ [qx, qy] + centre[:, None]
        radius2 = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
        mean = 2 + 30 * np.exp(-np.sqrt(radius2) / 12) + 4000 * np.exp(-radius2 / 6)
        for (px, py), peak in zip(pixels.T, weight, strict=True):
            mean += 60 * peak * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 4)
        patterns.append(np.minimum(rng.poisson(mean), 255).astype("u1"))
        predicted.append((qx, qy, hkl, weight))
    return np.array(patterns), predicted


def make_spots(positions, predicted):
    count = np.zeros(SHAPE, int)
    found = {}
    for (row, column), (qx, qy, _, weight) in zip(positions, predicted, strict=True):
        strong = weight > 0.25
        found[row * SHAPE[1] + column] = qx[strong], qy[strong]
        count[row, column] = strong.sum()
    qx, qy = np.concatenate([found[key] for key in sorted(found)], axis=1)
    return example_spots(count, qx, qy, 50, 60, scan="a", scan_step_nm=STEP_NM)


def make_scan(step_nm=STEP_NM):
    patterns, _ = make_patterns([(10, 10), (20, 30), (30, 20), (40, 40)])
    label = make_labels()
    bright = np.where(label < 0, 240, 150 + 6 * label) + np.random.default_rng(2).normal(
        0, 4, SHAPE
    )
    return example(
        SCAN, mean_pattern=patterns.mean(0), max_pattern=patterns.max(0), bright_field=bright,
        dark_field=260 - bright, diffuse=300 - bright, scan="a", file="a.blo", dtype="uint8",
        scan_step_nm=step_nm, bright_field_radius_px=8.0,
    )  # fmt: skip


STATES = ["x300", "x250", "x200", "x150", "x100"]
STATE_X = np.array([3.0, 2.5, 2.0, 1.5, 1.0])


def make_comparison(powder_missing=True):
    """Five states by three sources, of which powder may miss one."""
    rng = np.random.default_rng(4)
    fraction = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1.0]])
    found = np.clip(fraction + rng.normal(0, 0.03, (5, 3)), 0, 1)
    found /= found.sum(axis=1, keepdims=True)
    log = make_cycling(dict(zip(STATES, STATE_X + rng.normal(0, 0.03, 5), strict=True)))
    kept = [k for k in range(5) if k != 1 or not powder_missing]
    compared = compare(
        states=STATES,
        stem={
            name: make_fractions(x, 0.07, molar=molar)
            for name, x, molar in zip(STATES, found @ [3, 2, 1], found, strict=True)
        },
        cycling=dict.fromkeys(STATES, log),
        powder={STATES[k]: [make_powder_of(fraction[k])] for k in kept},
    )
    return compared.assign_coords(phase=NAMES)


def make_powder():
    rng = np.random.default_rng(5)
    angle = np.arange(3, 25, 0.004)
    background = 120 + 300 * np.exp(-angle / 5)
    cells = (9.03, 8.91, 8.80)
    contribution, ticks = [], []
    for share, cell in zip((0.2, 0.5, 0.3), cells, strict=True):
        share_of = np.zeros_like(angle)
        for n in (2, 4, 5, 8, 9, 12, 16, 18, 20, 25, 29, 32):
            peak = 2 * np.degrees(np.arcsin(0.41 * np.sqrt(n) / cell / 2))
            ticks.append(peak)
            share_of += 9000 * share / n * np.exp(-(((angle - peak) / 0.02) ** 2))
        contribution.append(share_of)
    calculated = background + np.sum(contribution, axis=0)
    observed = rng.poisson(calculated).astype(float)
    return example(
        POWDER, phase=NAMES, two_theta=angle, observed=observed, sigma=np.sqrt(observed),
        calculated=calculated, background=background, contribution=contribution,
        weight_fraction=[0.21, 0.5, 0.29], weight_fraction_esd=[0.004, 0.006, 0.005],
        weight_fraction_shift=0, molar_fraction=[0.2, 0.5, 0.3],
        molar_fraction_esd=[0.004, 0.006, 0.005],
        cell=[[a, a, 10.8, 90, 90, 90] for a in cells], cell_esd=1e-4, reflection=ticks,
        reflection_phase=np.repeat([0, 1, 2], 12), ion_content=1.9, ion_content_esd=0.01,
        rwp=0.061, goodness_of_fit=1.21, pattern="p", file="p.xye", wavelength=0.41,
    )  # fmt: skip


def make_reliability():
    """Bins with four digits of positions at the ends and a few between."""
    edges = np.linspace(0, 1, 11)
    bins = [
        {
            "from": low, "to": high, "count": count, "posterior": (low + high) / 2,
            "frequency": share, "frequency_low": 0.9 * share,
            "frequency_high": 1 - 0.9 * (1 - share),
        }
        for low, high, count, share in zip(
            edges, edges[1:], [9000, *[20] * 8, 9000], np.linspace(0, 1, 10), strict=False
        )
    ]  # fmt: skip
    return {"Na3": bins, "Na2": bins[:1], "Na1": []}


def make_confusion():
    answers = (*NAMES, "mixed", "undecided", "vacuum")
    rng = np.random.default_rng(7)
    regions = {"all directions": {}}
    regions |= {
        axis: {"angle_deg_mean": 13.2, "angle_deg_max": 26.0}
        for axis in ("[100]", "[010]", "[001]", "[110]", "[101]", "[011]", "[111]")
    }
    for region in regions.values():
        counts = rng.integers(0, 5, (3, 6)) + 2000 * np.eye(3, 6, dtype=int)
        counts[2] *= rng.integers(0, 2)
        region["confusion"] = {
            name: dict(zip(answers, row, strict=True))
            for name, row in zip(NAMES, counts.tolist(), strict=True)
        }
    return regions


def make_crystals():
    groups = dict(zip(NAMES, (symmetry.D2h, symmetry.D4h, symmetry.C2v), strict=True))
    return {
        name: SimpleNamespace(orix_point_group=lambda group=group: group)
        for name, group in groups.items()
    }


def make_pairs(never=False):
    """PAIRS of two phases, electrons that grow with the angle to c, none at all for one pair."""
    names = NAMES[:2]
    files = ("Na3V2PO42F3", "Na2V2PO42F3")
    crystals = {
        name: read_crystal(ROOT / f"config/structures/{file}.cif", name=name)
        for name, file in zip(names, files, strict=True)
    }
    rng = np.random.default_rng(0)
    beam = np.abs(rng.normal(size=(2, 60, 3)))
    beam /= np.linalg.norm(beam, axis=-1, keepdims=True)
    zone_axis = np.zeros(beam.shape, dtype=int)
    zone_axis[:, :3], beam[:, :3] = np.eye(3), np.eye(3)
    electrons = 10 ** (3 + 4 * np.arccos(beam[..., 2]))
    if never:
        electrons[1] = np.inf
    found = example(
        PAIRS, phase=names, true_phase=[0, 1], rival=[1, 0], pair_index=np.repeat([0, 1], 60),
        beam=beam.reshape(-1, 3), zone_axis=zone_axis.reshape(-1, 3), evidence_limit=0,
        electrons=electrons.ravel(),
    )  # fmt: skip
    return found, crystals


def test_directions_that_no_dose_decides_are_hatched():
    for never in (False, True):
        figure = pairs.draw_pairs(*make_pairs(never))
        shown = [len(ax.collections) for ax in figure.axes[:2]]
        assert shown == [0, int(never)]
    titles = [ax.get_title(loc="left") for ax in figure.axes[:2]]
    assert "undecidable: 100 %" not in titles[0]
    assert "undecidable: 100 %" in titles[1]


def test_a_triangle_has_the_colour_of_the_nearest_direction():
    data, crystals = make_pairs()
    figure = pairs.draw_pairs(data, crystals)
    image = np.asarray(figure.axes[0].images[0].get_array())
    # Corners of the octant: c at the origin, a to the right, b on top.
    own = data["electrons"].values[:60]
    assert image[0, 0] == pytest.approx(own[2])
    assert image[0, -1] == pytest.approx(own[0])
    assert image[-1, 0] == pytest.approx(own[1])


def pattern_arguments(phases, orientations):
    positions, reasons = patterns.choose_positions(phases, orientations)
    frames, predicted = make_patterns(positions)
    spots = make_spots(positions, predicted)
    common = {"spots": spots, "phases": phases, "reasons": reasons}
    common["explained"] = [
        make_accounts(phases, *at) for at in zip(positions, predicted, strict=True)
    ]
    return frames, positions, common


def make_accounts(phases, position, predicted):
    """The two likeliest phases; a second lattice where the position is mixed."""
    row, column = position
    order = np.argsort(-phases["posterior"].values[row, column])[:2]
    first, second = (patterns.Explanation(int(n), predicted, 31, 24 - 6 * i, -12.3 * i, -4.1 * i)
                     for i, n in enumerate(order))  # fmt: skip
    if phases["decision"].values[row, column] == MIXED:
        turned = (predicted[1], predicted[0], *predicted[2:])
        first = replace(first, second_phase=int(order[1]), second=turned, explained_by_both=29)
    return [first, second]


def draw(name):
    """One figure by name, from nothing."""
    phases, grains = make_phases(), make_grains()
    if name == "scan":
        return scans.draw_scan(make_scan(), calibration=make_calibration())
    if name == "scan_plain":
        return scans.draw_scan(make_scan(np.nan))
    if name == "calibration":
        return scans.draw_calibration(make_calibration(), scan_step_nm=STEP_NM)
    if name == "phases":
        return maps.draw_phase_map(phases, grains, scan_step_nm=STEP_NM, labels=LABELS)
    if name == "phases_plain":
        return maps.draw_phase_map(phases)
    if name == "orientations":
        return maps.draw_orientation_map(
            phases, grains, make_crystals(), camera=TURNED, scan_step_nm=STEP_NM, labels=LABELS
        )
    if name == "reliability":
        return maps.draw_reliability(
            phases, grains, make_orientations(phases), scan_step_nm=STEP_NM
        )
    if name == "patterns":
        frames, positions, common = pattern_arguments(phases, make_orientations(phases))
        return patterns.draw_patterns(
            frames, positions, calibration=make_calibration(), labels=LABELS, **common
        )
    if name == "patterns_spots_only":
        _, positions, common = pattern_arguments(phases, make_orientations(phases))
        return patterns.draw_patterns(None, positions, **common)
    if name == "comparison":
        return comparison.draw_comparison(
            [build_cycling(STATES, STATE_X)], make_comparison(), ion="Na", labels=LABELS
        )
    if name == "comparison_without_log":
        return comparison.draw_comparison([], make_comparison(), labels=LABELS)
    if name == "log":
        return cycling.draw_log(build_cycling(STATES, STATE_X, cycles=True), ion="Na")
    if name == "log_charge":
        return cycling.draw_log(build_cycling(STATES, STATE_X))
    if name == "powder":
        return powder.draw_powder(make_powder(), labels=LABELS)
    if name == "composition":
        return maps.draw_composition(phases, grains, scan_step_nm=STEP_NM, ion="Na")
    if name == "probabilities":
        return truth.draw_probabilities(make_reliability(), labels=LABELS)
    if name == "confusion":
        return truth.draw_confusion(make_confusion())
    if name in ("pairs", "pairs_never"):
        return pairs.draw_pairs(*make_pairs(never=name == "pairs_never"), labels=LABELS)
    assert name == "overview"
    return maps.draw_phase_map_overview(
        [make_phases(seed) for seed in range(5)],
        titles=STATES,
        grains=[make_grains(seed) for seed in range(5)],
        scan_steps_nm=[STEP_NM] * 5,
        labels=LABELS,
    )


PICTURES = (
    "scan",
    "scan_plain",
    "calibration",
    "phases",
    "phases_plain",
    "orientations",
    "reliability",
    "patterns",
    "patterns_spots_only",
    "comparison",
    "comparison_without_log",
    "log",
    "log_charge",
    "powder",
    "overview",
    "composition",
    "probabilities",
    "confusion",
    "pairs",
    "pairs_never",
)


def texts_drawn(figure):
    """Every text with its box, but for indices on patterns, which may touch."""
    figure.draw_without_rendering()
    ticks = set()
    for ax in figure.findobj(Axes):
        for axis in (ax.xaxis, ax.yaxis):
            ticks |= {tick.label1 for tick in (*axis.majorTicks, *axis.minorTicks)}
            ticks |= {tick.label2 for tick in (*axis.majorTicks, *axis.minorTicks)}
            if axis.get_visible() and axis.get_tightbbox() is not None:
                yield axis, axis.get_tightbbox()
    for text in figure.findobj(Text):
        # Numbers beyond the limits of an axis are laid out but never painted.
        written = text.get_visible() and text.get_text().strip() and text not in ticks
        of_axis = text in [
            axis.label for ax in figure.findobj(Axes) for axis in (ax.xaxis, ax.yaxis)
        ]
        if written and not of_axis and not isinstance(text, Annotation):
            yield text, text.get_window_extent()


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_written_over_something_else(name):
    drawn = list(texts_drawn(draw(name)))
    assert len(drawn) > 3
    for index, (one, box) in enumerate(drawn):
        for other, other_box in drawn[:index]:
            if isinstance(one, Text) or isinstance(other, Text):
                assert not _overlap(box, other_box), f"{one} on {other}"


def _overlap(one, other):
    """More than a hair: boxes of rotated axis labels touch those of the numbers beside them."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 1 and down > 1


@pytest.mark.parametrize(
    "name", ["phases", "comparison", "log", pytest.param("orientations", marks=pytest.mark.slow)]
)
def test_the_same_data_gives_the_same_bytes_whatever_the_settings(name, tmp_path):
    style.save(draw(name), tmp_path / "one.png")
    with mpl.rc_context({"font.size": 20, "axes.grid": True, "savefig.dpi": 50}):
        style.save(draw(name), tmp_path / "two.png")
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "two.png").read_bytes()
    assert b"tEXt" not in content and b"tIME" not in content


def test_phases_mixed_undecided_and_vacuum_have_their_colours():
    phases = make_phases()
    image = maps.draw_phase_map(phases).axes[0].images[0].get_array()
    decision = phases["decision"].values
    expected = {
        VACUUM: style.VACUUM_COLOUR,
        UNDECIDED: style.UNDECIDED_COLOUR,
        MIXED: style.MIXED_COLOUR,
        **dict(enumerate(style.PHASE_COLOURS[:3])),
    }
    for value, colour in expected.items():
        assert (decision == value).any()
        np.testing.assert_allclose(image[decision == value] - mpl.colors.to_rgb(colour), 0)


def test_unindexed_positions_have_a_grey_of_their_own_and_a_name():
    phases = make_phases()
    phases["decision"][0, :3] = UNINDEXED
    figure = maps.draw_phase_map(phases)
    image = figure.axes[0].images[0].get_array()
    grey = mpl.colors.to_rgb(style.UNINDEXED_COLOUR)
    np.testing.assert_allclose(image[0, :3], [grey] * 3)
    assert not np.isclose(image[1:], grey).all(axis=-1).any()
    assert "unindexed" in [text.get_text() for text in figure.legends[0].texts]


def test_mixed_positions_are_hatched_and_named_in_the_legend():
    phases = make_phases()
    figure = maps.draw_phase_map(phases)
    (hatched,) = figure.axes[0].patches
    assert hatched.get_hatch()
    mixed = np.argwhere(phases["decision"].values == MIXED)
    squares = hatched.get_path().to_polygons(closed_only=False)
    centres = [square[:4].mean(axis=0)[::-1] for square in squares]
    np.testing.assert_allclose(centres, mixed)
    assert "mixed" in [text.get_text() for text in figure.legends[0].texts]


def test_composition_shows_what_is_decided_or_mixed():
    phases = make_phases()
    shown = maps.draw_composition(phases).axes[0].images[0].get_array()
    decision = phases["decision"].values
    np.testing.assert_array_equal(shown.mask, np.isin(decision, [UNDECIDED, VACUUM]))
    phases["ion_content"][:] = np.nan
    assert "No position" in maps.draw_composition(phases).texts[0].get_text()


def test_mixed_positions_take_the_orientation_of_their_likeliest_phase():
    phases = one_position([1, 0, 0, 0])
    mmm, beam = {"Na3": symmetry.D2h}, Vector3d.zvector()
    decided = direction_colours(phases, mmm, beam)
    phases["decision"][:] = MIXED
    np.testing.assert_allclose(direction_colours(phases, mmm, beam), decided)


def test_boundaries_lie_between_positions_of_different_grains():
    label = np.array([[0, 0, 1], [0, -1, 1]])
    edges = maps.boundaries(label, np.zeros(label.shape, bool))
    found = {tuple(map(tuple, edge)) for edge in edges.tolist()}
    assert found == {
        ((1.5, -0.5), (1.5, 0.5)),
        ((0.5, 0.5), (0.5, 1.5)),
        ((1.5, 0.5), (1.5, 1.5)),
        ((0.5, 0.5), (1.5, 0.5)),
    }


def test_no_boundary_is_drawn_between_undecided_positions():
    label = np.array([[0, 1, 2]])
    undecided = np.array([[True, True, False]])
    assert maps.boundaries(label, undecided).tolist() == [[[1.5, -0.5], [1.5, 0.5]]]


def one_position(rotation):
    phases = make_phases().isel(y=[24], x=[28], phase=[0])
    phases["decision"][:] = 0
    phases["rotation"][:] = rotation
    return phases


def test_direction_colours_follow_the_orientation_convention():
    """v_crystal = O v_frame: a crystal turned by 90 degrees about x has b or -b along the beam."""
    red, green, blue = np.eye(3)
    mmm = {"Na3": symmetry.D2h}
    beam = Vector3d.zvector()
    aligned = one_position([1, 0, 0, 0])
    for direction, colour in (
        (beam, red),
        (Vector3d.xvector(), green),
        (Vector3d.yvector(), blue),
    ):
        found = direction_colours(aligned, mmm, direction)[0, 0]
        np.testing.assert_allclose(found, colour, atol=0.02)
    turned = one_position(Rotation.from_axes_angles([1, 0, 0], 90, degrees=True).data[0])
    np.testing.assert_allclose(direction_colours(turned, mmm, beam)[0, 0], blue, atol=0.02)
    a_up = one_position(Rotation.from_axes_angles([0, 1, 0], 90, degrees=True).data[0])
    np.testing.assert_allclose(direction_colours(a_up, mmm, beam)[0, 0], green, atol=0.02)


@pytest.mark.parametrize("structure", ["Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3"])
def test_equivalent_orientations_have_one_colour(structure):
    crystal = read_crystal(ROOT / "config" / "structures" / f"{structure}.cif")
    groups = {"Na3": crystal.orix_point_group().laue}
    rotation = Rotation([0.8, 0.3, -0.4, 0.33])
    colours = [
        direction_colours(
            one_position((Rotation(operation) * rotation).data[0]), groups, Vector3d.zvector()
        )[0, 0]
        for operation in crystal.symmetry
    ]
    assert len(colours) >= 4
    np.testing.assert_allclose(colours, colours[:1] * len(colours), atol=1e-6)


def test_predicted_and_measured_spots_land_on_the_pixels_they_come_from():
    """An ellipse and a shifted centre: pixel = centre + affine^-1 q."""
    phases = make_phases()
    calibration = make_calibration()
    _, positions, common = pattern_arguments(phases, make_orientations(phases))
    row, column = positions[0]
    affine = np.array([[0.026, 3e-4], [3e-4, 0.024]])
    calibration["affine"][:] = affine
    pixel = np.array([60.0, 20.0])
    centre = [float(calibration[name][row, column]) for name in ("centre_x", "centre_y")]
    qx, qy = affine @ (pixel - centre)
    predicted = (np.array([qx]), np.array([qy]), np.array([[1, 0, 0]]), np.array([1.0]))
    figure = patterns.draw_patterns(
        np.zeros((1, CAMERA, CAMERA)),
        positions[:1],
        spots=common["spots"],
        phases=phases,
        explained=[[patterns.Explanation(phase, predicted, 31, 24, 0, 0) for phase in (0, 2)]],
        calibration=calibration,
    )
    for ax, phase in zip(figure.axes, (0, 2), strict=True):
        measured, crosses = ax.collections
        np.testing.assert_allclose(crosses.get_offsets()[0], pixel, atol=1e-9)
        assert to_hex(crosses.get_edgecolor()[0]) == style.PHASE_COLOURS[phase].lower()
        assert len(measured.get_offsets()) == common["spots"]["count"].values[row, column] > 0


def test_each_pattern_is_drawn_once_for_every_phase_that_explains_it():
    phases = make_phases()
    _, positions, common = pattern_arguments(phases, make_orientations(phases))
    mixed = common["reasons"].index("mixed")
    axes = patterns.draw_patterns(None, positions, **common).axes
    assert len(axes) == 2 * len(positions)
    plus_signs = [len(ax.collections) == 5 for ax in axes]  # with a white seam below
    assert np.flatnonzero(plus_signs).tolist() == [2 * mixed]
    assert "explains 24 of 31 spots\n29 with a second" in axes[2 * mixed].texts[-1].get_text()
    below = "explains 18 of 31 spots\nlog-evidence −12.3, intensities −4.1"
    assert axes[1].texts[-1].get_text() == below
    common["explained"] = [accounts[:1] for accounts in common["explained"]]
    assert len(patterns.draw_patterns(None, positions, **common).axes) == len(positions)


def test_a_phase_without_orientation_is_said_to_have_none():
    phases = make_phases()
    _, positions, common = pattern_arguments(phases, make_orientations(phases))
    accounts = common["explained"][0]
    accounts[1] = replace(accounts[1], predicted=None, explained=0)
    axes = patterns.draw_patterns(None, positions, **common).axes
    assert [text.get_text() for text in axes[1].texts][:1] == ["no orientation found"]


def test_chosen_positions_are_what_their_reasons_say():
    phases = make_phases()
    orientations = make_orientations(phases)
    positions, reasons = patterns.choose_positions(phases, orientations)
    decision = phases["decision"].values
    chosen = [decision[row, column] for row, column in positions]
    assert reasons == ["median match"] * 3 + ["best match", "worst match", "mixed", "undecided"]
    assert chosen[:3] == [0, 1, 2] and chosen[5:] == [MIXED, UNDECIDED]
    score = orientations["score"].values[..., 0]
    decided = [score[index][decision[index]] for index in np.ndindex(SHAPE) if decision[index] >= 0]
    best, worst = (score[tuple(positions[n])][chosen[n]] for n in (3, 4))
    assert (best, worst) == (max(decided), min(decided))


def test_a_scan_of_vacuum_is_said_to_have_nothing_to_show():
    phases = make_phases()
    phases["decision"][:] = VACUUM
    orientations = make_orientations(phases)
    positions, reasons = patterns.choose_positions(phases, orientations)
    assert positions.shape == (0, 2) and reasons == []
    _, other, common = pattern_arguments(make_phases(), make_orientations(make_phases()))
    figure = patterns.draw_patterns(None, positions, **common)
    assert len(other) == 7 and "No position" in figure.texts[0].get_text()


def test_a_log_shows_its_states_its_plateaus_and_what_to_know_of_it():
    data = build_cycling(STATES, STATE_X, cycles=True)
    figure = cycling.draw_log(data, ion="Na")
    voltage, content, curves, slopes = figure.axes
    assert "counts no charge" in figure.get_supxlabel()
    written = [text.get_text() for text in curves.texts]
    assert written == STATES
    bars = [line.get_ydata()[0] for line in curves.lines if line.get_linewidth() > 2]
    first_cycle = data["plateau_half_cycle"].values < 2
    assert bars == data["plateau_voltage"].values[first_cycle].tolist()
    assert len(bars) == 4
    assert {text.get_text() for text in slopes.texts} == {"3.70 V", "4.27 V"}
    # The line of each half cycle begins where the one before ends.
    ends = [line.get_xydata()[[0, -1]] for line in voltage.lines[:3]]
    assert ends[1][0].tolist() == ends[0][1].tolist()
    assert content.get_legend() is not None
    data.attrs["warnings"] = ""
    assert cycling.draw_log(data).get_supxlabel() == ""


def test_the_band_of_a_log_holds_each_half_cycle_by_itself():
    """In one polygon charge and discharge turn opposite ways, and what both cover stays white."""
    log = build_cycling(STATES, STATE_X, cycles=True)
    curve = comparison.draw_comparison([log], make_comparison()).axes[0]
    bands = [band for band in curve.collections if isinstance(band, PolyCollection)]
    assert len(bands) == log.sizes["half"] > 2


def test_sources_without_data_are_left_out_of_the_fractions():
    compared = make_comparison()
    compared["fraction"][:, 2] = np.nan
    legend = comparison.draw_comparison([], compared).legends[0]
    assert [text.get_text() for text in legend.texts] == ["charge", "4D-STEM"]


def test_a_refused_powder_pattern_is_a_cross_among_the_fractions():
    compared = make_comparison()
    compared["refused"][1] = "p1: R_wp is 0.69"
    figure = comparison.draw_comparison([], compared)
    texts = [text.get_text() for text in figure.legends[0].texts]
    assert "powder diffraction, refused" in texts or "powder XRD, refused" in texts
    crosses = [line for ax in figure.axes for line in ax.lines if line.get_marker() == "x"]
    assert len(crosses) == compared.sizes["phase"]
    assert all(len(line.get_xdata()) == 1 for line in crosses)


def test_a_source_without_ion_content_is_not_named_beside_the_line():
    compared = make_comparison()
    compared["ion_content"][:, 2] = np.nan
    log = make_cycling(dict(zip(STATES, STATE_X, strict=True)))
    figure = comparison.draw_comparison([log], compared)
    legends = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    assert [[text.get_text() for text in legend.texts] for legend in legends] == [["4D-STEM"]]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.0102371, 0.0000123, "0.010237 ± 0.000012"),
        (1.0101, 0.00013, "1.01010 ± 0.00013"),
        (417.79, 12.3, "418 ± 12"),
        (0.5, 0.0, "0.5"),
        (0.5, np.nan, "0.5"),
    ],
)
def test_values_are_rounded_to_two_digits_of_their_error(value, error, text):
    assert style.with_error(value, error) == text


@given(st.floats(1e-6, 1e6))
def test_scale_bars_are_round_and_fill_the_room_they_have(length):
    bar = style.round_below(length)
    assert bar <= length * (1 + 1e-8) and length < 2.5 * bar * (1 + 1e-8)
    mantissa = bar / 10 ** np.floor(np.log10(bar * (1 + 1e-9)))
    assert min(abs(mantissa - step) for step in (1, 2, 5)) < 1e-6


def test_miller_indices_bear_bars_and_are_set_apart_where_two_digits_occur():
    assert style.miller(np.array([2, -1, 0])) == r"$2\overline{1}0$"
    assert style.miller(np.array([10, 0, -2])) == r"$10\,0\,\overline{2}$"


# ------------------------------------------------------------------------------ no answer

ANSWERS = {"undecided": UNDECIDED, "vacuum": VACUUM, "mixed": MIXED, "one phase": 1}


@pytest.mark.slow
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (6, 1)])
def test_maps_of_any_shape_with_one_answer_everywhere_are_drawn(shape, answer):
    at = {"y": slice(0, shape[0]), "x": slice(0, shape[1])}
    orientations = make_orientations(make_phases()).isel(at)
    phases = build_phases(NAMES, np.full(shape, answer))
    if answer != VACUUM:
        phases["rotation"][:] = [1, 0, 0, 0]
    drawn = [
        maps.draw_phase_map(phases, labels=LABELS),
        maps.draw_phase_map_overview([phases], titles=["s"], scan_steps_nm=[np.nan], labels=LABELS),
        maps.draw_orientation_map(
            phases, build_grains(phases), make_crystals(), camera=None, labels=LABELS
        ),
        maps.draw_reliability(phases, build_grains(phases), orientations),
        maps.draw_composition(phases),
    ]
    for figure in drawn:
        assert list(texts_drawn(figure))
    for where, reason in zip(*patterns.choose_positions(phases, orientations), strict=True):
        assert answer != VACUUM
        assert (where < shape).all()
        assert reason


def test_a_comparison_of_nothing_says_so_and_one_without_fractions_leaves_their_row_out():
    nothing = make_comparison()
    for name in nothing.data_vars:
        if nothing[name].dtype.kind == "f":
            nothing[name] = nothing[name] * np.nan
    nothing["states_compared"] = 0 * nothing["states_compared"]
    figure = comparison.draw_comparison([], nothing)
    assert "nothing to compare" in str(list(texts_drawn(figure)))
    assert "no scans" in str(list(texts_drawn(maps.draw_phase_map_overview([], titles=[]))))
    log = build_cycling(["a", "b"], np.array([2.9, 2.1]))
    figure = comparison.draw_comparison([log], nothing)
    assert "molar phase fraction" not in str(list(texts_drawn(figure)))


def test_an_electrode_of_unknown_mass_is_drawn_by_its_charge():
    log = build_cycling(["a", "b"], np.array([2.9, 2.1]))
    grams, capacity = 1e-3 * log.attrs["mass_mg"], log["capacity"].values
    for name in log.data_vars:
        if "ion_content" in name or "per gram" in log[name].attrs["long_name"]:
            log[name] = log[name] * np.nan
    log.attrs["mass_mg"] = np.nan
    _, passed, curves = cycling.draw_log(log).axes
    assert passed.get_ylabel() == "charge (mA h)"
    assert curves.get_xlabel() == "net charge passed (mA h)"
    for x in (passed.lines[0].get_ydata(), curves.lines[0].get_xdata()):
        np.testing.assert_allclose(x, log["charge"])
    assert np.ptp(log["charge"].values) == pytest.approx(grams * np.ptp(capacity))
    figure = comparison.draw_comparison([log], make_comparison())
    assert not any("voltage" in ax.get_ylabel() for ax in all_axes(figure))


def all_axes(figure):
    return [*figure.axes, *(ax for part in figure.subfigs for ax in all_axes(part))]
