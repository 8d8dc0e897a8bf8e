"""Reading powder patterns: every axis, unit, separator and order of columns, or a refusal."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasefront.core.errors import InputError
from phasefront.experiment.settings.powder import PatternRow
from phasefront.powder.files import read_pattern

WAVELENGTH = 0.4127


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "rows", "first"),
    [
        ("powder/aps11bm_example.xye", None, None),
        ("powder/mac_example.xye", 599, (0.0, 11.632, 2.650)),
    ],
)
def test_reads_real_beamline_files(shared_data, name, rows, first):
    path = shared_data(name)
    # The one without a header ends at 0.6, which nothing but the table says to be degrees.
    table = read_pattern(path, unit="degree" if first else None)
    assert list(table.columns) == ["two_theta", "intensity", "sigma"]
    assert table.attrs["file"] == str(path)
    assert np.diff(table["two_theta"]) == pytest.approx(np.diff(table["two_theta"])[0], rel=1e-3)
    if first:
        assert len(table) == rows
        assert tuple(table.iloc[0]) == first
    else:
        assert tuple(table.iloc[-1]) == (1.073103125, 196.446337, 20.526220)


def test_without_sigma_it_is_the_square_root_of_counts(tmp_path):
    table = read_pattern(write(tmp_path, "a.xy", "# angle counts\n1 100\n2 0\n4 25\n"))
    assert table["sigma"].tolist() == [10.0, 5.0, 5.0]


def test_reads_fit2d_angles_and_q(tmp_path):
    header = "run 7\n{}\nIntensity\n   3\n"
    rows = "1.0 5.0\n2.0 6.0\n3.0 7.0\n"
    angles = write(tmp_path, "a.chi", header.format("2-Theta Angle (Degrees)") + rows)
    assert read_pattern(angles)["two_theta"].tolist() == [1.0, 2.0, 3.0]
    q = write(tmp_path, "b.chi", header.format("q (nm^-1)") + rows)
    expected = np.degrees(2 * np.arcsin(np.array([0.1, 0.2, 0.3]) * WAVELENGTH / (4 * np.pi)))
    found = read_pattern(q, wavelength=WAVELENGTH)["two_theta"]
    np.testing.assert_allclose(found, expected)
    with pytest.raises(InputError, match="wavelength"):
        read_pattern(q)


def test_reads_csv_by_name_and_by_position(tmp_path):
    path = write(tmp_path, "a.csv", "temperature,tth,I,dI\n300,11.0,9,3\n300,12.0,16,4\n")
    by_name = read_pattern(path, columns={"axis": "tth", "intensity": "I", "sigma": "dI"})
    by_position = read_pattern(path, columns={"axis": 1, "intensity": 2, "sigma": 3})
    pd.testing.assert_frame_equal(by_name, by_position)
    assert by_name["sigma"].tolist() == [3.0, 4.0]
    with pytest.raises(InputError, match=r"no column 'counts' for intensity.*'tth', 'I'"):
        read_pattern(path, columns={"axis": "tth", "intensity": "counts"})
    with pytest.raises(InputError, match="no column is given for intensity"):
        read_pattern(path, columns={"axis": "tth"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\n2\n3\n", "only one column"),
        ("1 5 1\n3 5 1\n2 5 1\n", "two_theta: the angle does not increase after row 2"),
        ("1 5 1\n1 5 1\n", "two_theta: the angle does not increase after row 1"),
        ("1 5 1\n2 5 0\n", "sigma: 1 uncertainties are not positive, first in row 2"),
        ("1 5 1\n2 nan 1\n", "intensity: 1 values are not finite, first in row 2"),
        ("1 5 1\n2 inf 1\n", "intensity: 1 values are not finite, first in row 2"),
        ("1 5 1\n2 5\n", "line 2: 2 columns, 3 before"),
        ("1 5 1\n2 five 1\n", "line 2: '2 five 1' is not a row of numbers"),
        ("# nothing\n", "no numbers"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, text, words):
    path = write(tmp_path, "bad.xye", text)
    with pytest.raises(InputError) as caught:
        read_pattern(path, unit="degree")
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_missing_file_and_unknown_format_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_pattern(tmp_path / "a.xye")
    with pytest.raises(InputError, match=r"no reader for '\.raw'"):
        read_pattern(write(tmp_path, "a.raw", "1 2 3"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30), st.integers(0, 3))
def test_what_is_written_is_read(tmp_path_factory, counts, header_lines):
    path = tmp_path_factory.mktemp("round") / "a.xye"
    angle = 1.0 + 0.01 * np.arange(len(counts))
    written = np.column_stack([angle, counts, np.sqrt(counts)])
    np.savetxt(path, written, fmt="%.8f", header="\n".join(["text"] * header_lines))
    np.testing.assert_allclose(read_pattern(path, unit="degree").to_numpy(), written, atol=1e-8)


# What a file says of itself

CASES = "cases/powder-"


def true_pattern(shared_data):
    return np.loadtxt(shared_data(CASES + "axis/right.xye"), comments="'", usecols=(0, 1))


@pytest.mark.parametrize(
    "name",
    ["axis/right.xye", "axis/q_A.xy", "axis/q_nm.dat", "weight/gsas2.csv"]
    + [f"comma/{file}" for file in ("bom.xy", "comma.csv", "comma.xy")],
)
def test_files_that_say_what_they_are_give_the_true_pattern(shared_data, name):
    found = read_pattern(shared_data(CASES + name), wavelength=WAVELENGTH)
    true = true_pattern(shared_data)
    assert len(found) == 160
    np.testing.assert_allclose(found["two_theta"], true[:, 0], atol=5e-6)
    # Some are written in whole counts.
    np.testing.assert_allclose(found["intensity"], true[:, 1], atol=1.0)
    np.testing.assert_allclose(found["sigma"], np.sqrt(true[:, 1]), atol=0.1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("axis/d_A.xy", "the axis is d in A by its header"),
        ("axis/radian.xy", "the axis is 2theta in radian by its header"),
        ("axis/q_header.dat", "the axis is q by its header"),
        ("comma/point_angle_comma_counts.xy", "a comma may be decimal, of thousands"),
    ],
)
def test_files_that_do_not_are_refused(shared_data, name, words):
    with pytest.raises(InputError, match=words):
        read_pattern(shared_data(CASES + name), wavelength=WAVELENGTH)


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("d_A.xy", {"axis": "d", "unit": "A"}),
        ("radian.xy", {"unit": "radian"}),
        ("q_header.dat", {"unit": "1/A"}),
    ],
)
def test_the_table_says_what_a_header_leaves_open(shared_data, name, stated):
    found = read_pattern(shared_data(f"{CASES}axis/{name}"), wavelength=WAVELENGTH, **stated)
    true = true_pattern(shared_data)
    np.testing.assert_allclose(found["two_theta"], true[:, 0], atol=1e-4)
    np.testing.assert_allclose(found["intensity"], true[:, 1])


def test_rows_outside_the_detector_are_left_out_and_said(shared_data):
    found = read_pattern(shared_data(CASES + "edge/edge.xye"))
    assert len(found) == 220
    assert found["two_theta"].iloc[-1] == 11.95
    assert found.attrs["notes"] == ["2 empty points at the ends of the file left out"]


def test_an_empty_row_between_others_is_refused(tmp_path):
    path = write(tmp_path, "a.xye", "0 0 0\n4 5 1\n5 0 0\n6 5 1\n7 0 0\n")
    with pytest.raises(InputError, match="1 uncertainties are not positive, first in row 2"):
        read_pattern(path)


ROWS = "\n4.0 100 10\n4.1 400 20\n4.2 900 30\n"


@pytest.mark.parametrize(
    ("header", "stated", "words"),
    [
        ("# tof counts sigma", {}, "time of flight"),
        ("# TOF (microseconds) I e", {}, "time of flight"),
        ("# r_mm I sigma", {}, "the axis is distance"),
        ("# pixel I sigma", {}, "the axis is pixel"),
        ("# theta I sigma", {}, "the axis is theta"),
        ("# energy_keV I sigma", {}, "the axis is energy"),
        ("# 2theta(centidegrees) I sigma", {}, "a part of a degree"),
        ("# q_pm^-1 I sigma", {}, "the axis is q by"),
        ("# q(a.u.) I sigma", {}, "the axis is q by"),
        ("# q_A^-1 I sigma", {"unit": "1/nm"}, "unit is 1/A by its header, 1/nm by the table"),
        ("# q_A^-1 I sigma", {"axis": "two_theta"}, "axis is q by its header, two_theta by the"),
        ("# 2theta_deg I sigma", {"unit": "radian"}, "degree by its header, radian by the table"),
        ("# 2theta_deg I sigma", {"unit": "1/A"}, "axis is two_theta by its header, q by"),
        ("# 2th_deg or perhaps q_nm^-1", {}, "the header names several axes"),
        ("# wavelength 1.5406 A", {}, "wavelength is 1.5406 angstrom by its header, 0.4127 by"),
        ("# Wavelength: 1.54e-10 m", {}, "wavelength is 1.54 angstrom by its header"),
        ("# 2theta_deg sigma I", {}, "not axis, intensity and uncertainty"),
        ("# I 2theta_deg sigma", {}, "not axis, intensity and uncertainty"),
        ("# 2theta_deg T I", {}, "not axis, intensity and uncertainty"),
        ("# 2theta_deg y_calc y_obs", {}, "not axis, intensity and uncertainty"),
        ("# 2theta_deg I y_calc", {}, "third column 'y_calc' may be no uncertainty"),
        ("# exported: 2theta and counts and weights", {}, "may be no uncertainty"),
        ("4.0? 100 10", {}, "is neither names nor a row of numbers"),
    ],
)
def test_what_is_no_axis_or_contradicts_itself_is_refused(tmp_path, header, stated, words):
    path = write(tmp_path, "a.xye", header + ROWS)
    with pytest.raises(InputError, match=words):
        read_pattern(path, wavelength=WAVELENGTH, **stated)


@pytest.mark.parametrize(
    ("rows", "stated", "words"),
    [
        ("-0.1 5\n0.1 5\n4 5\n", {}, "beyond 0 to 180"),
        ("10 5\n200 5\n", {}, "beyond 0 to 180"),
        ("0.1 5\n0.2 5\n", {}, "ends at 0.2, which may be degrees, radians, q or else"),
        ("0.1 5\n0.2 5\n", {"axis": "q"}, "the axis is q by"),
        ("1 5\n40 5\n", {"unit": "1/A"}, "reaches beyond what 0.4127 angstrom can measure"),
        ("0 5\n4 5\n", {"unit": "A"}, "d is not positive|the axis is d"),
        ("4,05,50\n4,10,60\n", {}, "a comma may be decimal"),
        ("4,000,50\n4,050,60\n", {}, "a comma may be decimal"),
        ("4.0\t1,234\n4.1\t2,345\n", {}, "a comma may be decimal"),
        ("4.0\t1,234.5\n4.1\t2,345.0\n", {}, "a comma"),
        ("4.0,,7\n4.1,5,7\n", {}, "neither names nor a row|not a row"),
        ("4.0 5 6\n4.1 5\n", {}, "2 columns, 3 before"),
        ("4.0 5 6\n4.1 5 6\n", {}, "third column is not named"),
    ],
)
def test_numbers_that_cannot_be_told_are_refused(tmp_path, rows, stated, words):
    with pytest.raises(InputError, match=words):
        read_pattern(write(tmp_path, "a.dat", rows), wavelength=WAVELENGTH, **stated)


def counted(points=200):
    """Angles and counts with a few strong lines over a background."""
    angle = 4.0 + 0.05 * np.arange(points)
    lines = sum(5000 * np.exp(-(((angle - at) / 0.1) ** 2)) for at in (5.0, 7.0, 11.0))
    return angle, np.random.default_rng(1).poisson(50 + lines) + 1.0


@pytest.mark.parametrize("suffix", [".xye", ".dat"])
def test_weights_without_a_name_are_not_taken_for_uncertainties(tmp_path, suffix):
    angle, counts = counted()
    path = tmp_path / f"a{suffix}"
    np.savetxt(path, np.column_stack([angle, counts, 1 / counts]))
    with pytest.raises(InputError, match="falls where the intensity rises, as weights do"):
        read_pattern(path)
    stated = read_pattern(path, columns={"axis": 0, "intensity": 1, "weight": 2})
    np.testing.assert_allclose(stated["sigma"], np.sqrt(counts))


@pytest.mark.parametrize("factor", [1e-3, 1.0, 40.0])
def test_a_third_column_without_a_name_may_be_that_of_scaled_counts(tmp_path, factor):
    angle, counts = counted()
    path = tmp_path / "a.dat"
    np.savetxt(path, np.column_stack([angle, factor * counts, factor * np.sqrt(counts)]))
    np.testing.assert_allclose(read_pattern(path)["sigma"], factor * np.sqrt(counts))


def test_a_flat_pattern_has_the_uncertainty_of_counts_or_is_asked_about(tmp_path):
    flat = np.column_stack([4.0 + np.arange(20), np.full(20, 50.0), np.full(20, np.sqrt(50.0))])
    path = tmp_path / "a.dat"
    np.savetxt(path, flat)
    np.testing.assert_allclose(read_pattern(path)["sigma"], np.sqrt(50.0))
    np.savetxt(path, flat * [1, 1, 0.001])
    with pytest.raises(InputError, match="third column is not named"):
        read_pattern(path)


@pytest.mark.parametrize("kind", ["fit", "background"])
def test_another_third_column_is_asked_about(tmp_path, kind):
    angle, counts = counted()
    third = {"fit": counts + 3.0, "background": 40.0 + angle}[kind]
    path = tmp_path / "a.dat"
    np.savetxt(path, np.column_stack([angle, counts, third]))
    with pytest.raises(InputError, match="third column is not named"):
        read_pattern(path)


def test_a_row_of_the_table_says_what_stands_where():
    row = {"pattern": "p", "state": "s", "path": "p.xy", "wavelength": "0.41"}
    columns = '{"axis": 1, "intensity": "I", "weight": 2}'
    read = PatternRow.model_validate(row | {"axis": "q", "unit": "1/nm", "columns": columns})
    assert read.columns == {"axis": 1, "intensity": "I", "weight": 2}
    for wrong, words in (
        ('{"axis": 1}', "lack axis or intensity"),
        ('{"axis": 1, "intensity": 0, "sigma": 2, "weight": 3}', "sigma and weight"),
        ('{"axis": 1, "intensity": 1}', "two roles"),
        ("tth, I", 'no JSON; write it as {"axis"'),
    ):
        with pytest.raises(ValueError, match=words):
            PatternRow.model_validate(row | {"columns": wrong})


HEADS = {
    ("two_theta", "degree"): ["2th_deg", "2Theta(deg)", "two_theta [degrees]", "2θ (°)", "tth_deg"],
    ("two_theta", "radian"): ["2th_rad", "2theta (rad)"],
    ("q", "1/A"): ["q_A^-1", "Q (1/A)", "q [Å⁻¹]", "Q(A-1)", "q (Angstrom^-1)"],
    ("q", "1/nm"): ["q_nm^-1", "Q (1/nm)", "Q Space (Inverse Nanometres)"],
    ("d", "A"): ["d_A", "d (A)", "d-spacing (Å)"],
    ("d", "nm"): ["d_nm", "d [nm]"],
}


def on_axis(angle, axis, unit):
    if axis == "two_theta":
        return np.radians(angle) if unit == "radian" else angle
    q = 4 * np.pi * np.sin(np.radians(angle / 2)) / WAVELENGTH
    if axis == "q":
        return q if unit == "1/A" else 10 * q
    return 2 * np.pi / q if unit == "A" else 0.2 * np.pi / q


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([(key, head) for key, heads in HEADS.items() for head in heads]),
    st.sampled_from(["# ", "", "! ", "'", "; ", "% ", "// ", "* "]),
    st.sampled_from(["\t", ";", ",", ", ", "  ", " "]),
    st.sampled_from([".", ","]),
    st.permutations(["axis", "intensity", "sigma", "other"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    st.sampled_from(["\n", "\r\n"]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_any_file_gives_the_same_pattern_or_a_refusal(
    tmp_path_factory, head, prefix, separator, decimal, order, encoding, newline, told
):
    (axis, unit), label = head
    says_axis, says_columns, names = told
    angle, counts = counted(60)
    columns = {
        "axis": on_axis(angle, axis, unit), "intensity": counts, "sigma": np.sqrt(counts),
        "other": np.full(len(angle), 300.5),
    }  # fmt: skip
    heads = {"axis": label, "intensity": "I", "sigma": "esd", "other": "T"}
    order = order if says_columns else ["axis", "intensity", "sigma"]
    rows = [[f"{value:.9f}".replace(".", decimal) for value in columns[role]] for role in order]
    lines = [separator.join(cells) for cells in zip(*rows, strict=True)]
    if names:
        lines.insert(0, prefix + separator.join(heads[role] for role in order))
    path = tmp_path_factory.mktemp("any") / "a.dat"
    text = (newline.join(lines) + newline).encode(encoding, errors="replace")
    path.write_bytes(text)
    stated = {"axis": axis, "unit": unit} if says_axis else {}
    if says_columns:
        stated["columns"] = {role: at for at, role in enumerate(order) if role != "other"}
    try:
        found = read_pattern(path, wavelength=WAVELENGTH, **stated)
    except InputError:
        # A full statement in an unmistakable format must not be refused.
        assert not (says_axis and says_columns and decimal == "." and not names)
        return
    if not (names or says_axis) and axis != "two_theta":
        # Nothing says what the axis is: the fit decides, and its refusal says so.
        assert not found.attrs["axis_stated"]
        return
    np.testing.assert_allclose(found["two_theta"], angle, atol=1e-4)
    np.testing.assert_allclose(found["intensity"], counts, atol=1e-8)
    np.testing.assert_allclose(found["sigma"], np.sqrt(counts), atol=1e-8)
