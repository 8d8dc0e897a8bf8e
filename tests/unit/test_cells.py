"""Cells refined from spots, their errors, and the way between the phases' cells."""

from dataclasses import replace

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinematic import CRYSTALS, quaternion
from projects import ROOT
from scipy.spatial.transform import Rotation

from phasefront.core.errors import InputError
from phasefront.diffraction import cell_path, cells, reflections, rotations
from phasefront.diffraction.candidates import CandidatePhases
from phasefront.diffraction.crystals import read_crystal
from phasefront.diffraction.likelihood import Refined
from phasefront.diffraction.optics import Optics
from phasefront.diffraction.reflections import reflection_table
from phasefront.diffraction.spot_lists import Spots

MICROSCOPE = Optics(200.0, 0.8, (0.1, 1.15), position_sigma=0.002, scale_sigma=0.001)
PARENT_AXES = [np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], np.eye(3)]
CONTENTS = [3, 2, 1]
PATH = cell_path.Path.of(CandidatePhases(CRYSTALS, PARENT_AXES, CONTENTS))
LIMNO = {"LiMn2O4": 1, "LCO": 2, "Li2MnO3": 4}  # cubic, rhombohedral, monoclinic


def with_cell(crystal, a, b, c):
    """The same crystal with other lengths."""
    cell = (a, b, c, *crystal.cell[3:])
    return replace(crystal, cell=cell, reciprocal=np.array(gemmi.UnitCell(*cell).frac.mat.tolist()))


def patterns_of(crystal, orientations, *, sigma, number=28, seed=0):
    """The strongest spots of a crystal in each orientation."""
    rng = np.random.default_rng(seed)
    columns, offset = [], [0]
    for orientation in orientations:
        qx, qy, _, weight = reflections.predict_spots(crystal, quaternion(orientation), MICROSCOPE)
        strongest = np.argsort(-weight, kind="stable")[:number]
        q = np.stack([qx, qy])[:, strongest]
        q = q + sigma * rng.standard_normal(q.shape)
        columns.append(np.vstack([q, 1e4 * weight[strongest]]))
        offset.append(offset[-1] + q.shape[1])
    return Spots(np.array(offset), *np.concatenate(columns, axis=1))


def refined_cells(crystal, spots, orientations, phase=0):
    """Cells of `spots` with the orientations given and those of `crystal` to start from."""
    number = len(orientations)
    start = Refined(
        quaternion(orientations), np.ones(number), np.zeros((number, 2)), np.zeros(number),
        np.zeros(number), np.zeros(number), np.zeros(number),
    )  # fmt: skip
    table = reflection_table([crystal], max_radius=1.15)
    return cells.refine_cells(
        spots, np.arange(number), np.zeros(number, dtype=int), start, table, MICROSCOPE,
        [cells.strain_basis(crystal)],
    )  # fmt: skip


@pytest.mark.parametrize(("index", "free"), [(0, 3), (1, 2), (2, 3)])
def test_strains_keep_the_symmetry(index, free):
    crystal = CRYSTALS[index]
    basis = cells.strain_basis(crystal)
    assert len(basis) == free
    for operator in rotations.matrices(crystal.symmetry):
        np.testing.assert_allclose(operator @ basis @ operator.T, basis, atol=1e-12)
    overlap = np.einsum("aij,bij->ab", basis, basis)
    np.testing.assert_allclose(overlap, np.eye(free), atol=1e-12)


@pytest.mark.parametrize("name", LIMNO)
def test_number_of_free_strains_is_that_of_the_crystal_system(shared_data, name):
    crystal = read_crystal(shared_data(f"structures/{name}.cif"))
    assert len(cells.strain_basis(crystal)) == LIMNO[name]


def test_cell_of_no_strain_is_that_of_the_file(shared_data):
    monoclinic = read_crystal(shared_data("structures/Li2MnO3.cif"))
    for crystal in [*CRYSTALS, monoclinic]:
        found = cells.cell_parameters(crystal, np.zeros((1, 6)))
        np.testing.assert_allclose(found[0], crystal.cell, rtol=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-0.03, 0.03)] * 3))
def test_strained_lengths_are_those_of_the_strained_axes(stretch):
    crystal = CRYSTALS[0]
    basis = cells.strain_basis(crystal)
    # The orthorhombic basis is diagonal: stretching the axes by s shrinks g by 1 / (1 + s).
    tensor = np.diag(1 / (1 + np.array(stretch)) - 1)
    strain = np.zeros((1, 6))
    strain[0, :3] = np.einsum("kij,ij->k", basis, tensor)
    found = cells.cell_parameters(crystal, strain)[0]
    np.testing.assert_allclose(found[:3], np.array(crystal.cell[:3]) * (1 + np.array(stretch)))
    np.testing.assert_allclose(found[3:], 90)


def test_cell_is_found_from_exact_spots():
    crystal = CRYSTALS[0]
    true = with_cell(crystal, 8.98, 9.10, 10.83)
    orientations = Rotation.random(12, random_state=1)
    found = refined_cells(crystal, patterns_of(true, orientations, sigma=0.0), orientations)
    assert (found.assigned > 20).all()
    parameters = cells.cell_parameters(crystal, found.strain)
    covariance = cells.propagated(
        lambda strain: cells.cell_parameters(crystal, strain), found.strain, found.covariance
    )
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)[:, :3])
    z = (parameters[:, :3] - [8.98, 9.10, 10.83]) / error
    # What a pattern shows is right to a fraction of the error that counting on noise gives.
    assert np.abs(z).max() < 1.0
    np.testing.assert_allclose(parameters[:, 3:], 90)


def test_errors_are_as_large_as_stated():
    crystal = CRYSTALS[2]
    orientations = Rotation.random(300, random_state=2)
    spots = patterns_of(crystal, orientations, sigma=MICROSCOPE.position_sigma, seed=3)
    found = refined_cells(crystal, spots, orientations)
    strain, covariance = found.strain[:, :3], found.covariance[:, :3, :3]
    square = np.einsum("ni,nij,nj->n", strain, np.linalg.inv(covariance), strain)
    # The prior holds the strain near its true value of 0, so chi squared of three is at most 3.
    assert 1.2 < square.mean() < 3.2
    assert np.mean(square > 7.81) < 0.08  # 95 % quantile of three degrees of freedom


def test_the_axis_along_the_beam_keeps_the_error_it_had():
    crystal = CRYSTALS[0]
    along_c = Rotation.identity(1)
    found = refined_cells(crystal, patterns_of(crystal, along_c, sigma=0.001), along_c)
    basis = cells.strain_basis(crystal)
    error = np.sqrt(np.diag(found.covariance[0])[: len(basis)])
    which = np.argmax(np.abs(basis[:, 2, 2]))
    assert error[which] == pytest.approx(cells.CELL_SIGMA, rel=0.05)
    assert np.delete(error, which).max() < 0.15 * cells.CELL_SIGMA


def test_normal_equations_are_those_of_a_plain_least_squares_fit():
    rng = np.random.default_rng(8)
    edge, sigma = np.array([0, 5, 5, 12]), 0.003
    g, q = rng.normal(0, 0.5, (3, 12)), rng.normal(0, 0.5, (2, 12))
    matrix = Rotation.random(3, random_state=9).as_matrix()
    scale, centre = rng.normal(0, 0.01, 3), rng.normal(0, 0.01, (3, 2))
    basis = np.zeros((3, 6, 3, 3))
    basis[:, :3] = cells.strain_basis(CRYSTALS[0])
    strain = rng.normal(0, 0.01, (3, 6))
    tensor = np.einsum("nk,nkij->nij", strain, basis)

    def placed(candidate, parameters):
        """Spots (2, m) of a candidate with its parameters changed by some."""
        own = slice(edge[candidate], edge[candidate + 1])
        turn = Rotation.from_rotvec(parameters[:3]).as_matrix()
        changed = tensor[candidate] + np.einsum("k,kij->ij", parameters[6:], basis[candidate])
        vectors = turn @ matrix[candidate].T @ (np.eye(3) + changed) @ g[:, own]
        grown = np.exp(scale[candidate] + parameters[3])
        return grown * vectors[:2] + (centre[candidate] + parameters[4:6])[:, None]

    information, gradient, squares = np.zeros((3, 12, 12)), np.zeros((3, 12)), np.zeros((3, 2))
    shared = np.zeros((3, 12, 3))
    cells.normal_equations(
        0, 3, edge, *q, g, matrix, scale, centre, tensor, basis, sigma, information, gradient,
        squares, shared,
    )  # fmt: skip
    moves = [[[1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]]  # scale, stretch, shear
    for candidate in range(3):
        residual = q[:, edge[candidate] : edge[candidate + 1]] - placed(candidate, np.zeros(12))
        square = (residual**2).sum(axis=0)
        weight = 6 / (4 + square / sigma**2) / sigma**2
        jacobian = np.array(
            [(placed(candidate, h) - placed(candidate, -h)) / 2e-6 for h in 1e-6 * np.eye(12)]
        )
        expected = np.einsum("adm,bdm,m->ab", jacobian, jacobian, weight)
        np.testing.assert_allclose(information[candidate], expected, rtol=1e-5, atol=1e-3)
        expected = np.einsum("adm,dm,m->a", jacobian, residual, weight)
        np.testing.assert_allclose(gradient[candidate], expected, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(squares[candidate], [square.sum(), (weight * square).sum()])
        plain = placed(candidate, np.zeros(12)) - centre[candidate][:, None]
        expected = np.einsum("adm,kde,em,m->ak", jacobian, moves, plain, weight)
        np.testing.assert_allclose(shared[candidate], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("part", range(3))
def test_a_strain_answers_to_a_wrong_scale_and_ellipse_as_it_says(part):
    crystal = CRYSTALS[0]
    orientations = Rotation.random(12, random_state=11)
    spots = patterns_of(crystal, orientations, sigma=0.0)
    size = 2e-4
    wrong = np.eye(2) + size * np.array(
        [[[1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]][part]
    )
    qx, qy = wrong @ [spots.qx, spots.qy]
    before = refined_cells(crystal, spots, orientations)
    after = refined_cells(crystal, spots._replace(qx=qx, qy=qy), orientations)
    expected = size * before.response[:, :, part]
    np.testing.assert_allclose(after.strain - before.strain, expected, atol=0.1 * size)
    assert np.abs(expected).max() > 0.5 * size


def test_strays_hardly_move_a_cell():
    crystal = CRYSTALS[0]
    orientations = Rotation.random(10, random_state=4)
    spots = patterns_of(crystal, orientations, sigma=0.0)
    off = spots.qx.copy()
    off[spots.offset[:-1] + 3] += 2.5 * MICROSCOPE.position_sigma
    moved = refined_cells(crystal, spots._replace(qx=off), orientations)
    error = np.sqrt(np.diagonal(moved.covariance, axis1=1, axis2=2)[:, :3])
    assert (np.abs(moved.strain[:, :3]) < error).all()


@pytest.mark.parametrize("phase", range(3))
def test_the_path_leads_through_the_phases_own_cells(phase):
    contents, knots = PATH.knots(phase)
    np.testing.assert_array_equal(contents, [1, 2, 3])
    np.testing.assert_allclose(knots[list(contents).index(CONTENTS[phase])], 0, atol=1e-12)
    covariance = np.broadcast_to(1e-6 * np.eye(6), (3, 6, 6))
    content, error = PATH.locate(phase, knots, covariance)
    np.testing.assert_allclose(content, contents, atol=1e-6)
    assert (error > 0).all()
    np.testing.assert_allclose(PATH.distance(phase, knots, covariance), 0, atol=1e-6)


def test_places_between_phases_and_off_the_path():
    _, knots = PATH.knots(0)
    covariance = np.broadcast_to(1e-6 * np.eye(6), (2, 6, 6))
    along = knots[2] - knots[1]
    half = knots[1] + 0.5 * along
    across = np.zeros(6)
    across[:3] = np.cross(along[:3], knots[1][:3] - knots[0][:3])
    across *= 5e-3 / np.linalg.norm(across)
    content, error = PATH.locate(0, np.stack([half, half + across]), covariance)
    np.testing.assert_allclose(content, 2.5, atol=1e-6)
    # The error of a projection on a line: sigma over its length.
    np.testing.assert_allclose(error, 1e-3 / np.linalg.norm(along))
    distance = PATH.distance(0, np.stack([half, half + across]), covariance)
    np.testing.assert_allclose(distance, [0, 5], atol=1e-6)


def test_beyond_the_last_phase_is_off_the_path():
    _, knots = PATH.knots(0)
    beyond = (2 * knots[0] - knots[1])[None]
    covariance = np.broadcast_to(1e-6 * np.eye(6), (1, 6, 6))
    assert PATH.locate(0, beyond, covariance)[0] == pytest.approx(0.0, abs=1e-6)
    expected = np.linalg.norm(knots[1] - knots[0]) / 1e-3
    assert PATH.distance(0, beyond, covariance) == pytest.approx(expected)


@pytest.mark.parametrize(("phase", "ratio"), [(0, 1.189), (1, 1.218), (2, 1.254)])
def test_axial_ratio_of_the_shared_lattice(phase, ratio):
    found = PATH.axial_ratio(phase, np.zeros((1, 6)))
    assert found[0, 0] == pytest.approx(ratio, abs=1e-3)


def test_no_path_where_phases_share_no_lattice_or_one_ion_content():
    def path(axes, contents=CONTENTS):
        return cell_path.Path.of(CandidatePhases(CRYSTALS[: len(axes)], axes, contents))

    assert path([np.eye(3), None, np.eye(3)]) is None
    assert path(PARENT_AXES, [2, 1, 1]) is None
    assert path(PARENT_AXES[:1], [1]) is None
    assert cell_path.Path.of(CandidatePhases(CRYSTALS)) is None
    with pytest.raises(InputError, match="span no volume"):
        path([np.eye(3), np.ones((3, 3)), np.eye(3)])


def test_what_is_said_of_the_candidates_is_said_of_each():
    candidates = CandidatePhases(CRYSTALS, formula_units=[4, 2, 4])
    assert candidates.parent_axes == [None] * 3 and np.isnan(candidates.ion_contents).all()
    assert candidates.formula_volumes[1] == CRYSTALS[1].volume / 2
    with pytest.raises(ValueError, match="2 ion_contents of 3 phases"):
        CandidatePhases(CRYSTALS, ion_contents=[3, 2])


def test_lithium_iron_phosphate_shrinks_along_two_axes_only():
    crystals = [
        read_crystal(ROOT / "config" / "structures" / f"{name}.cif")
        for name in ("LiFePO4", "FePO4")
    ]
    path = cell_path.Path.of(CandidatePhases(crystals, [np.eye(3)] * 2, [1, 0]))
    contents, knots = path.knots(0)
    basis = cells.strain_basis(crystals[0])
    tensor = np.einsum("k,kij->ij", knots[0][:3], basis)
    expected = np.array(crystals[0].cell[:3]) / crystals[1].cell[:3] - 1
    np.testing.assert_allclose(np.diag(tensor), expected, atol=1e-9)
    assert expected[0] > 0 > expected[2]
    np.testing.assert_array_equal(contents, [0, 1])


def test_regions_are_averaged_by_what_their_spots_show():
    rng = np.random.default_rng(2)
    region = rng.integers(0, 4, 60)
    true = rng.normal(0, 5e-3, (4, 2))
    root = rng.normal(0, 1e-3, (60, 2, 2))
    # Measured with errors of their own, then held back by what was known before.
    seen = np.linalg.inv(root @ root.transpose(0, 2, 1) + 1e-7 * np.eye(2))
    known = np.eye(2) / cells.CELL_SIGMA**2
    covariance = np.linalg.inv(seen + known)
    strain = np.einsum("nij,njk,nk->ni", covariance, seen, true[region])
    mean, spread = cells.pooled_strain(region, strain, covariance)
    for index in range(4):
        total = seen[region == index].sum(axis=0)
        np.testing.assert_allclose(spread[index], np.linalg.inv(total + known), rtol=1e-5)
        np.testing.assert_allclose(mean[index], spread[index] @ total @ true[index], rtol=1e-5)
