"""Tables of weight fractions as GSAS-II, TOPAS and FullProf leave them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import read_crystal
from phasefront.experiment.settings.powder import FractionColumns
from phasefront.layouts.powder import POWDER
from phasefront.powder.fits import shares
from phasefront.powder.refined_tables import independent_scales, read_fractions

NAMES = ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")
MASS = (417.79, 394.80, 371.81)  # g/mol of a formula unit, by the elements' atomic weights

# Value and e.s.d. side by side, an empty cell where a phase is not in the histogram.
GSAS = """\
"name","No.","Use","Rwp","GOF","0::a","esd-0::a","0::b","esd-0::b","0::c","esd-0::c",\
"0::Vol","esd-0::Vol","1::a","esd-1::a","1::c","esd-1::c","0:*:WgtFrac","esd-0:*:WgtFrac",\
"1:*:WgtFrac","esd-1:*:WgtFrac"
"x3.0.xye Bank 1",0,True,6.913,1.52,9.02861,3.1e-05,9.04451,3.2e-05,10.74671,6.1e-05,877.56,0.01,\
,,,,1.0,0.0,,
"x2.5.xye Bank 1",1,True,5.214,1.43,9.02901,5.1e-05,9.04402,4.9e-05,10.74652,8.8e-05,877.54,0.01,\
6.30121,4.1e-05,10.85032,9.2e-05,0.5121,0.0023,0.4879,0.0023
"""
GSAS_COLUMNS = {
    "program": "GSAS-II",
    "pattern": "name",
    "goodness_of_fit": "GOF",
    "rwp": "Rwp",
    "phases": {
        "Na3V2PO42F3": {
            "fraction": "0:*:WgtFrac",
            "esd": "esd-0:*:WgtFrac",
            "cell": {"a": "0::a", "b": "0::b", "c": "0::c"},
            "cell_esd": {"a": "esd-0::a", "b": "esd-0::b", "c": "esd-0::c"},
        },
        "Na2V2PO42F3": {
            "fraction": "1:*:WgtFrac",
            "esd": "esd-1:*:WgtFrac",
            "cell": {"a": "1::a", "c": "1::c"},
            "cell_esd": {"a": "esd-1::a", "c": "esd-1::c"},
        },
    },
}
# What out "results.txt" append with Out(value, "%11.5f", "%11.5f") leaves: no names, only blanks.
TOPAS = """\
nvpf_30     6.91300     1.52000    99.10000     0.31000     0.90000     0.31000
nvpf_25     5.21400     1.43000    51.21000     0.23000    48.79000     0.23000
"""
TOPAS_COLUMNS = {
    "program": "TOPAS",
    "header": False,
    "pattern": 0,
    "rwp": 1,
    "goodness_of_fit": 2,
    "unit": "percent",
    "phases": {"Na3V2PO42F3": {"fraction": 3, "esd": 4}, "Na2V2PO42F3": {"fraction": 5, "esd": 6}},
}
# Fractions as FullProf's summary prints them, in a spreadsheet with decimal commas.
FULLPROF = """\
file;Rwp;Chi2;NVPF;N2VPF
nvpf_25;5,21;2,0449;51,21( 0,23);48,79( 0,23)
"""
FULLPROF_COLUMNS = {
    "program": "FullProf",
    "pattern": "file",
    "decimal": ",",
    "unit": "percent",
    "rwp": "Rwp",
    "chi_squared": "Chi2",
    "phases": {"Na3V2PO42F3": {"fraction": "NVPF"}, "Na2V2PO42F3": {"fraction": "N2VPF"}},
}


@pytest.fixture(scope="module")
def crystals(request):
    folder = request.config.rootpath / "config" / "structures"
    return [read_crystal(folder / f"{name}.cif") for name in NAMES]


@pytest.fixture
def read(tmp_path, crystals):
    def read(text, columns, row, *, wavelength=0.4127):
        path = tmp_path / "table.csv"
        path.write_text(text)
        return read_fractions(
            path, crystals, FractionColumns.model_validate(columns), name="p", row=row,
            wavelength=wavelength, ion_contents=(3, 2, 1), formula_units=(4, 2, 4),
        )  # fmt: skip

    return read


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        (GSAS, GSAS_COLUMNS, "x2.5.xye Bank 1"),
        (TOPAS, TOPAS_COLUMNS, "nvpf_25"),
        (FULLPROF, FULLPROF_COLUMNS, "nvpf_25"),
    ],
    ids=["gsas", "topas", "fullprof"],
)
def test_the_same_fractions_from_each_program(read, text, columns, row):
    result = read(text, columns, row)
    POWDER.check(result, "table")
    assert result.sizes["two_theta"] == 0
    np.testing.assert_allclose(result.weight_fraction, [0.5121, 0.4879, 0], atol=1e-12)
    np.testing.assert_allclose(result.weight_fraction_esd, [0.0023, 0.0023, 0], atol=1e-12)
    moles = np.array([0.5121, 0.4879, 0]) / MASS
    np.testing.assert_allclose(result.molar_fraction, moles / moles.sum(), rtol=1e-4)
    assert float(result.ion_content) == pytest.approx(2 + moles[0] / moles.sum(), rel=1e-4)
    # With two phases x moves with the one free fraction: dx/dW = M3 M2 / (W3 M2 + W2 M3)^2.
    slope = MASS[0] * MASS[1] / (0.5121 * MASS[1] + 0.4879 * MASS[0]) ** 2
    assert float(result.ion_content_esd) == pytest.approx(0.0023 * slope, rel=1e-3)
    assert float(result.goodness_of_fit) == pytest.approx(1.43)
    assert float(result.rwp) == pytest.approx(0.0521, abs=5e-5)
    assert result.attrs["refined_with"] == columns["program"]
    assert result.attrs["notes"] == "NaV2PO42F3 is absent"


def test_cells_are_completed_by_symmetry(read):
    result = read(GSAS, GSAS_COLUMNS, "x2.5.xye Bank 1")
    np.testing.assert_allclose(
        result.cell, [
            [9.02901, 9.04402, 10.74652, 90, 90, 90], [6.30121, 6.30121, 10.85032, 90, 90, 90],
            [np.nan] * 6,
        ],
    )  # fmt: skip
    np.testing.assert_allclose(result.cell_esd[1], [4.1e-5, 4.1e-5, 9.2e-5, 0, 0, 0])


def test_an_empty_fraction_is_an_absent_phase(read):
    result = read(GSAS, GSAS_COLUMNS, "x3.0.xye Bank 1")
    np.testing.assert_allclose(result.weight_fraction, [1, 0, 0])
    assert float(result.ion_content) == 3
    assert np.isnan(result.cell[1]).all()


def test_fractions_are_of_the_named_phases_where_others_are_there(read):
    text = TOPAS.replace("48.79000     0.23000", "38.79000     0.23000")
    result = read(text, TOPAS_COLUMNS, "nvpf_25")
    np.testing.assert_allclose(result.weight_fraction[0], 51.21 / 90)
    np.testing.assert_allclose(result.weight_fraction_esd[0], 0.23 / 90)
    assert "other phases hold 0.1 of the weight" in result.attrs["notes"]


def test_esd_are_multiplied_by_the_goodness_of_fit_where_the_program_did_not(read):
    result = read(TOPAS, TOPAS_COLUMNS | {"esd_scaled": False}, "nvpf_25")
    np.testing.assert_allclose(result.weight_fraction_esd[0], 0.0023 * 1.43)
    columns = {key: value for key, value in TOPAS_COLUMNS.items() if key != "goodness_of_fit"}
    with pytest.raises(InputError, match="goodness of fit, which is not there"):
        read(TOPAS, columns | {"esd_scaled": False}, "nvpf_25")


@pytest.mark.parametrize(
    "cell", ["0.5121(23)", "0.5121(0.0023)", "0.5121`_0.0023", "0.5121 +- 0.0023", "0.5121±0.0023"]
)
def test_ways_to_write_an_error(read, cell):
    text = f"name\tA\tB\nx\t{cell}\t0.4879(23)\n"
    columns = {
        "program": "any",
        "pattern": "name",
        "phases": {"Na3V2PO42F3": {"fraction": "A"}, "NaV2PO42F3": {"fraction": "B"}},
    }
    result = read(text, columns, "x", wavelength=None)
    np.testing.assert_allclose(result.weight_fraction, [0.5121, 0, 0.4879])
    np.testing.assert_allclose(result.weight_fraction_esd, [0.0023, 0, 0.0023])
    assert np.isnan(result.goodness_of_fit)
    assert np.isnan(result.attrs["wavelength"])


def changed(columns, phase, **changes):
    phases = columns["phases"] | {phase: columns["phases"][phase] | changes}
    return columns | {"phases": phases}


@pytest.mark.parametrize(
    ("text", "columns", "row", "words"),
    [
        (GSAS, GSAS_COLUMNS, "x2.0", "row 'x2.0' is not in the table"),
        (GSAS, GSAS_COLUMNS | {"rwp": "wR"}, "x2.5.xye Bank 1", "there is no column 'wR'"),
        (TOPAS + TOPAS, TOPAS_COLUMNS, "nvpf_25", "'nvpf_25' occurs more than once"),
        (TOPAS, TOPAS_COLUMNS | {"rwp": 9}, "nvpf_25", "there is no column 9"),
        (TOPAS + "nvpf_20 1 2\n", TOPAS_COLUMNS, "nvpf_25", "line 3: 3 columns where 7"),
        (TOPAS, TOPAS_COLUMNS | {"unit": "share"}, "nvpf_25", "set powder.refined.unit to percent"),
        (
            GSAS, GSAS_COLUMNS | {"unit": "percent"}, "x2.5.xye Bank 1",
            "set powder.refined.unit to share",
        ),
        (FULLPROF, FULLPROF_COLUMNS | {"decimal": "."}, "nvpf_25", "a decimal comma"),
        (GSAS, GSAS_COLUMNS | {"decimal": ","}, "x3.0.xye Bank 1", "commas both between columns"),
        (
            TOPAS, changed(TOPAS_COLUMNS, "Na2V2PO42F3", esd=None), "nvpf_25",
            "5: the fraction has no e.s.d.",
        ),
        (FULLPROF.replace("0,23", "*****"), FULLPROF_COLUMNS, "nvpf_25", "is not a number"),
        (
            TOPAS.replace("51.21", "-1.21"), TOPAS_COLUMNS, "nvpf_25",
            "the fraction -1.21 is negative",
        ),
        (
            GSAS, changed(GSAS_COLUMNS, "Na3V2PO42F3", cell={"a": "0::c"}), "x2.5.xye Bank 1",
            "a of Na3V2PO42F3 is 10.7465, 9.02847 in the CIF",
        ),
        ("\n", TOPAS_COLUMNS, "x", "the table is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_in_one_sentence(read, tmp_path, text, columns, row, words):
    with pytest.raises(InputError) as caught:
        read(text, columns, row)
    assert str(caught.value).startswith(str(tmp_path))
    assert words in str(caught.value)


def test_no_table(tmp_path, crystals):
    with pytest.raises(InputError, match="there is no such file"):
        read_fractions(
            tmp_path / "a.csv", crystals, FractionColumns.model_validate(TOPAS_COLUMNS), name="p",
            row="x", wavelength=None, ion_contents=(3, 2, 1), formula_units=(4, 2, 4),
        )  # fmt: skip


@given(
    st.lists(st.floats(0.05, 1.0), min_size=2, max_size=4),
    st.lists(st.floats(0.002, 0.05), min_size=4, max_size=4),
)
def test_covariance_of_independent_scales_is_found_again(scale, relative):
    scale = np.array(scale)
    spread = np.diag((scale * relative[: len(scale)]) ** 2)
    weight, covariance = shares(scale, spread, np.ones(len(scale)))
    found = independent_scales(weight, np.sqrt(np.diag(covariance)))
    np.testing.assert_allclose(found, covariance, rtol=1e-4, atol=1e-4 * covariance.max())


def test_a_poor_fit_of_another_program_is_no_result(read):
    """R_wp of 69 % where counts could not be few: the goodness of fit says so."""
    poor = GSAS.replace("5.214,1.43", "69.0,14.3")
    result = read(poor, GSAS_COLUMNS, "x2.5.xye Bank 1")
    POWDER.check(result, "table")
    assert result.attrs["refused"] == "R_wp is 0.69, over 0.3, and not for noise"
    for name in ("weight_fraction", "molar_fraction", "ion_content", "ion_content_esd", "cell"):
        assert np.isnan(result[name].to_numpy()).all(), name
    assert read(GSAS, GSAS_COLUMNS, "x2.5.xye Bank 1").attrs["refused"] == ""
