"""Powder patterns that were cut short, remarked on, or whose columns are other than they seem."""

import numpy as np
import pytest

from phasefront.core.errors import InputError
from phasefront.powder.files import read_pattern

ANGLE = np.arange(5.0, 45.0, 0.05)
PEAK = np.exp(-(((ANGLE - 20) / 0.2) ** 2))
COUNTS = np.random.default_rng(0).poisson(1000 + 5000 * PEAK).astype(float)


def write(path, *columns, header=""):
    rows = zip(*columns, strict=True)
    path.write_text(header + "".join(" ".join(f"{v:.6g}" for v in row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix", [".xye", ".xy"])
@pytest.mark.parametrize(
    "third",
    [COUNTS, 1.01 * COUNTS, np.full_like(COUNTS, 1000)],
    ids=["variance", "computed", "background"],
)
def test_a_third_column_as_large_as_the_intensity_is_no_uncertainty(tmp_path, suffix, third):
    """The background hides that a variance or a computed pattern grows faster than a root."""
    with pytest.raises(InputError, match="the third column"):
        read_pattern(write(tmp_path / f"a{suffix}", ANGLE, COUNTS, third))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_counts_so_few_that_they_scatter_by_themselves_are_taken(tmp_path, scale):
    counts = np.random.default_rng(1).poisson(1.0 + 30 * PEAK)
    sigma = scale * np.sqrt(np.maximum(counts, 1))
    found = read_pattern(write(tmp_path / "a.xye", ANGLE, scale * counts, sigma))
    np.testing.assert_allclose(found["sigma"], sigma, rtol=1e-5)


@pytest.mark.parametrize(("scale", "said"), [(1.0, False), (1e-6, True), (1e6, True)])
def test_rates_whose_root_is_no_uncertainty_are_named(tmp_path, scale, said):
    notes = read_pattern(write(tmp_path / "a.xy", ANGLE, scale * COUNTS)).attrs["notes"]
    assert ["they are no counts" in note for note in notes] == [True] * said


def test_a_remark_behind_a_row_does_not_make_it_a_header(tmp_path):
    path = write(tmp_path / "a.xy", ANGLE, COUNTS)
    text = path.read_text().replace("\n", "  # beam back\n", 1)
    path.write_text(text)
    assert len(read_pattern(path)) == len(ANGLE)


def test_a_fit2d_file_with_fewer_points_than_it_announces_is_refused(tmp_path):
    header = f"run 7\n2-Theta Angle (Degrees)\nIntensity\n  {len(ANGLE)}\n"
    assert len(read_pattern(write(tmp_path / "a.chi", ANGLE, COUNTS, header=header)))
    cut = write(tmp_path / "b.chi", ANGLE[:-9], COUNTS[:-9], header=header)
    with pytest.raises(InputError, match="announces 800 points, 791 are there"):
        read_pattern(cut)


@pytest.mark.parametrize("word", ["wavelength: 0,4127", "lambda = 0.4127", "Wellenlänge 0,4127 Å"])
def test_the_wavelength_of_a_header_in_any_words(tmp_path, word):
    path = write(tmp_path / "a.xy", ANGLE, COUNTS, header=f"# {word}\n")
    assert read_pattern(path).attrs["wavelength"] == pytest.approx(0.4127)
    with pytest.raises(InputError, match=r"0.4127 angstrom by its header, 0.7 by the table"):
        read_pattern(path, wavelength=0.7)


def test_a_folder_is_no_pattern(tmp_path):
    (tmp_path / "a.xy").mkdir()
    with pytest.raises(InputError, match="there is no such file"):
        read_pattern(tmp_path / "a.xy")


@pytest.mark.parametrize(
    ("header", "said"),
    [("wavelength 1.54060 1.54443", True), ("wavelength: 0.4127 0.4127", False),
     ("wavelength 0.4127 A, 25.0 keV", False), ("wavelength 0.4127\n# step 0.41", False)],
)  # fmt: skip
def test_a_doublet_of_wavelengths_is_named(tmp_path, header, said):
    notes = read_pattern(write(tmp_path / "a.xy", ANGLE, COUNTS, header=f"# {header}\n"))
    assert any("two wavelengths" in note for note in notes.attrs["notes"]) == said
