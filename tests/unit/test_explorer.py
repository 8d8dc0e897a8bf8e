"""The page of the explorer: arrays as text, which patterns it holds, and texts of users."""

import base64
import json
import re
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import compare, make_fractions
from stages import build_phases

from phasefront.core import netcdf
from phasefront.layouts.chemistry import SPECTRA
from phasefront.layouts.correlation import CORRELATION
from phasefront.layouts.phases import MIXED, UNDECIDED, VACUUM
from phasefront.layouts.registration import ACCEPTED, REGISTRATION
from phasefront.report.explorer import assembly, charts, page, patterns, payload, spectra
from phasefront.report.explorer.laid import LaidMaps
from phasefront.report.explorer.packing import FINE, pack, rounded


def unpacked(packed):
    """What the page does with the text."""
    size = np.dtype(packed.dtype).itemsize
    by_place = np.frombuffer(zlib.decompress(base64.b64decode(packed.text)), "u1")
    content = by_place.reshape(size, -1).T.tobytes()
    return np.frombuffer(content, f"<{packed.dtype}").reshape(packed.shape)


@given(st.lists(st.floats(width=32), max_size=40), st.integers(7, 23))
def test_rounding_keeps_the_bits_asked_for_and_what_is_no_number(values, bits):
    values = np.array(values, "f4")
    found = rounded(values, bits)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    large = np.abs(values) > 3e38  # may round up to infinity, as any rounding does
    normal = np.isfinite(values) & (np.abs(values) > 1e-37) & ~large
    off = np.abs(found[normal].astype("f8") - values[normal])
    assert (off <= 2.0 ** -(bits + 1) * 2 * np.abs(values[normal].astype("f8"))).all()


@settings(max_examples=30)
@given(st.sampled_from(["i1", "i2", "i4", "u1"]), st.integers(0, 2**32), st.integers(0, 9))
def test_whole_numbers_come_back_as_they_were(dtype, seed, rows):
    info = np.iinfo(dtype)
    random = np.random.default_rng(seed)
    values = random.integers(info.min, info.max, (rows, 3), endpoint=True).astype(dtype)
    np.testing.assert_array_equal(unpacked(pack(values, dtype)), values)


def test_numbers_come_back_within_what_the_page_says():
    values = np.random.default_rng(0).normal(size=(40, 3)).astype("f4")
    off = np.abs(unpacked(pack(values, "f4")) / values - 1)
    assert 0 < off.max() <= 2.0 ** -(FINE + 1)


def test_positions_of_doubt_and_boundaries_come_first():
    decision = np.full((5, 6), 0)
    decision[:, 0] = VACUUM
    decision[0, 4], decision[4, 5] = MIXED, UNDECIDED
    label = np.zeros((5, 6), int)
    label[:, 3:] = 1
    rank = patterns.ranked(build_phases(["A"], decision), label)
    expected = np.ones((5, 6), int)
    expected[:, 0] = 2  # next to vacuum is no boundary between grains
    expected[:, 2:4] = 0
    for y, x in ((0, 4), (0, 5), (1, 4), (4, 5), (3, 5), (4, 4)):
        expected[y, x] = 0
    np.testing.assert_array_equal(rank, expected)


@given(st.integers(0, 400), st.integers(0, 2**32))
@settings(max_examples=40)
def test_what_is_chosen_fits_and_no_rank_comes_before_a_better_one(room, seed):
    random = np.random.default_rng(seed)
    ranks = [random.integers(0, 3, (6, 7)), random.integers(0, 3, (3, 20))]
    chosen = patterns.choose(ranks, [2.0, 3.0], room)
    cost = sum(len(one) * each for one, each in zip(chosen, (2, 3), strict=True))
    assert cost <= room
    for one in chosen:
        assert (np.diff(one) > 0).all()
    left = [np.delete(np.ravel(rank), one) for rank, one in zip(ranks, chosen, strict=True)]
    missing = min((one.min(initial=3) for one in left), default=3)
    taken = [np.ravel(rank)[one] for rank, one in zip(ranks, chosen, strict=True)]
    assert all(one.max(initial=0) <= missing for one in taken)


def test_the_rest_is_spread_evenly():
    np.testing.assert_array_equal(patterns.spread(np.arange(10), 5), [0, 2, 4, 6, 8])
    np.testing.assert_array_equal(patterns.spread(np.arange(3), 5), [0, 1, 2])
    assert len(patterns.spread(np.arange(3), 0)) == 0


def raw_scan(side, shape=(6, 8), seed=0):
    """A scan of noise with spots far out, its calibration and its spots."""
    random = np.random.default_rng(seed)
    data = random.poisson(30, (*shape, side, side)).astype("u2")
    blocks = lambda: ((slice(y, y + 2), data[y : y + 2]) for y in range(0, shape[0], 2))  # noqa: E731
    scan = SimpleNamespace(blocks=blocks, read_rows=lambda start, stop: data[start:stop])
    centre = np.full(shape, side / 2)
    calibration = xr.Dataset(
        {
            "mask": (("ky", "kx"), np.ones((side, side), "i1")), "scale": ((), 0.02),
            "centre_y": (("y", "x"), centre), "centre_x": (("y", "x"), centre + 0.5),
        }
    )  # fmt: skip
    spots = xr.Dataset({"qx": ("spot", np.full(50, 0.6)), "qy": ("spot", np.zeros(50))})
    return data, patterns.RawScan(scan, np.ones(shape, int), calibration, spots)


@pytest.mark.parametrize("side", [80, 512])
def test_patterns_in_the_page_are_those_of_the_scan(side):
    data, raw = raw_scan(side)
    (found,) = patterns.embed([raw], 1e9)
    assert len(found.position) == 48
    frame = found.frame
    for k in (0, 17, 47):
        y, x = divmod(int(found.position[k]), 8)
        levels = np.frombuffer(zlib.decompress(found.content[k]), "u1")
        pixels = frame.side // frame.binning
        own = data[y, x, frame.top :, frame.left :][: frame.side, : frame.side]
        own = own.reshape(pixels, frame.binning, pixels, frame.binning).mean(axis=(1, 3))
        root = levels.reshape(pixels, pixels) * found.step[k]
        np.testing.assert_allclose(root, np.sqrt(own), atol=found.step[k] / 2 + 1e-5)
    # Cropped to the spots: 0.6 / 0.02 = 30 pixels about the centre, and a margin.
    assert 60 <= frame.side <= 66 and frame.binning == 1
    middle = frame.left + frame.side / 2
    assert middle == pytest.approx(side / 2 + 0.5, abs=1.5)


def test_patterns_never_take_more_than_their_room():
    _, raw = raw_scan(80)
    (every,) = patterns.embed([raw], 1e9)
    whole = sum(map(patterns.in_page, every.content))
    for room in (0, whole / 3, whole / 1.5):
        (found,) = patterns.embed([raw], room)
        taken = sum(map(patterns.in_page, found.content))
        assert taken <= room
        assert len(found.position) == len(found.content) == len(found.step)
        assert taken >= room / 2 or room == 0


def test_bins_grow_only_where_doubtful_positions_would_not_fit():
    _, raw = raw_scan(80)
    doubtful = patterns.RawScan(raw.scan, np.zeros((6, 8), int), raw.calibration, raw.spots)
    (every,) = patterns.embed([raw], 1e9)
    room = sum(map(patterns.in_page, every.content)) / 2
    (plain,), (coarse,) = patterns.embed([raw], room), patterns.embed([doubtful], room)
    assert (plain.frame.binning, coarse.frame.binning) == (1, 2)
    assert len(coarse.position) == 48


def test_labels_of_phases_are_plain_text():
    labels = {"a": "Na$_3$V$_2$(PO$_4$)$_2$F$_3$", "b": "Fe$^{3+}$", "c": "5 $ a piece", "d": "<b>"}
    found = payload.plain_labels(["a", "b", "c", "d", "e"], labels)
    assert found == ["Na₃V₂(PO₄)₂F₃", "Fe³⁺", "5 $ a piece", "<b>", "e"]


def test_plots_have_the_same_ids_whatever_was_drawn_before():
    first = charts.document(charts.maps_of_scan())
    charts.pattern()
    again = charts.document(charts.maps_of_scan())
    assert json.dumps(first) == json.dumps(again)


HOSTILE = '</script><script>alert("1")</script><!-- \u2028 & \'<img src=x>'


def test_no_text_ends_its_element():
    comparison = compare(stem={"half": make_fractions()})
    facts = {
        "run": "r", "ion": "Na", "note": "n",
        "phases": [{"name": n, "label": HOSTILE, "colour": "#000000"} for n in "abc"], "laid": [],
    }  # fmt: skip
    run = page.Run(facts, HOSTILE, HOSTILE, comparison, {}, [])
    text = "".join(page.compose(run, [], [], "const one = '</script>';", "p { margin: 0 }"))
    assert text.count("<script") == text.count("</script>") == 4
    assert "<img" not in text
    held = json.loads(re.search(r'id="run">(.*?)</script>', text).group(1))
    assert held["phases"][0]["label"] == HOSTILE
    assert "no scans" in text


def test_the_page_asks_for_nothing_from_elsewhere():
    folder = Path(page.__file__).parent
    for name in ("explorer.js", "explorer.css", "page.py"):
        found = re.findall(r"https?://[^\s\"'`]+", (folder / name).read_text(encoding="utf-8"))
        assert [address for address in found if "www.w3.org" not in address] == []


@pytest.mark.parametrize("notes", ["", "its grains agree on a scale"])
def test_the_page_says_where_a_calibration_gave_way(notes):
    shown = SimpleNamespace(phases=build_phases(["A"], [[0]], notes=notes))
    said = assembly._notes("directions are the camera's", shown, None)
    assert said[0].startswith("Directions are the camera's. ")
    assert said[1:] == (["Its grains agree on a scale."] if notes else [])


def test_the_page_has_laid_maps_of_their_scan_and_none_that_were_not_accepted(tmp_path):
    correlations, registrations = [], []
    for name, scan, status in (
        ("stxm", "a", ACCEPTED), ("eels", "b", ACCEPTED), ("other", "a", "undecided"),
    ):  # fmt: skip
        said = {"scan": scan, "map": name, "status": status}
        one = example(
            CORRELATION, chemistry=np.full((3, 4), 2.5), chemistry_stderr=0.03,
            chemistry_systematic=0.04, registration_stderr=0.12, quantity="ion_content", unit="1",
            **said,
        )  # fmt: skip
        where = example(REGISTRATION, position_stderr=np.full((3, 4), 6.0), **said)
        for layout, found, paths in (
            (CORRELATION, one, correlations), (REGISTRATION, where, registrations),
        ):  # fmt: skip
            paths.append(tmp_path / f"{name}-{len(paths)}-{layout.title[:5]}.nc")
            netcdf.write(found, paths[-1], layout)
    laid = LaidMaps.read(correlations, registrations, [])
    assert [one["stack"] for one in laid.facts()] == ["stxm", "eels"]
    said = {"stack": "stxm", "quantity": "ion content", "unit": "1", "spectrum": None}
    assert laid.facts()[0] == said
    arrays = laid.arrays("a")
    assert set(arrays) == {"laid_stxm", "laid_stxm_stderr", "laid_stxm_place"}
    np.testing.assert_allclose(unpacked(arrays["laid_stxm_stderr"]), 0.13, rtol=2e-3)
    np.testing.assert_allclose(unpacked(arrays["laid_stxm_place"]), 6.0)


def spectra_of(shape, energies=20, parts=("V3+", "background")):
    """SPECTRA of a map of `shape` whose every number is its own, its last row not fitted."""
    size = (energies, *shape)
    measured = np.arange(np.prod(size), dtype="f4").reshape(size)
    model = np.stack([measured / 4, measured * 3 / 4])
    model[:, :, -1] = np.nan
    return example(
        SPECTRA, energy=np.linspace(500, 530, energies), measured=measured, measured_stderr=0.5,
        part=list(parts), model=model, map="stxm", quantity="optical density", unit="1",
    )  # fmt: skip


def turned_over(shape, step):
    """REGISTRATION of a map of `shape` on a grid of the same pixels, its columns run backwards."""
    start = np.stack([step * np.arange(shape[0]), np.full(shape[0], step * (shape[1] - 1))], axis=1)
    return example(
        REGISTRATION, row_start=start, column_step=[0.0, -step], draw=2, scan_step_nm=step,
        map="stxm", scan="a", status=ACCEPTED,
    )  # fmt: skip


def test_positions_have_the_spectrum_of_the_pixel_that_lies_there():
    shape, step = (6, 7), 20.0
    one, known = spectra_of(shape), np.ones(shape, bool)
    known[0, 0] = False
    found = {
        k: unpacked(v) for k, v in spectra.arrays(one, turned_over(shape, step), known).items()
    }
    for y, x in np.ndindex(shape):
        at = found["pixel"][y, x]
        if y == 5 or not known[y, x]:  # not fitted, or nothing is known of the map there
            assert at == -1
            continue
        assert (found["pixel_row"][at], found["pixel_column"][at]) == (y, 6 - x)
        own = one["measured"].values[:, y, 6 - x]
        np.testing.assert_allclose(found["measured"][at], own, rtol=2e-4)
        np.testing.assert_allclose(found["model"][at].sum(axis=0), own, rtol=2e-4)


@given(st.integers(1, 30), st.integers(5, 30))
@settings(max_examples=15, deadline=None)
def test_spectra_never_take_more_than_their_room(share, side):
    shape = (side, side)
    one, whole = spectra_of(shape), 4 * 20 * side * side
    room = max(whole // share, 4 * 20)
    found = spectra.arrays(one, turned_over(shape, 20.0), np.ones(shape, bool), room)
    model, pixel = unpacked(found["model"]), unpacked(found["pixel"])
    assert 0 < len(model) * 4 * 20 <= room
    rows, columns = (unpacked(found[f"pixel_{name}"]) for name in ("row", "column"))
    for y, x in np.argwhere(pixel >= 0):
        at = pixel[y, x]
        for kept, own in ((rows, y), (columns, side - 1 - x)):
            assert abs(kept[at] - own) == np.abs(kept - own).min()


@pytest.mark.parametrize("binning", [1, 2, 3])
def test_a_frame_holds_means_of_whole_bins(binning):
    counts = np.random.default_rng(1).poisson(20, (4, 20, 21)).astype("u2")
    cut = patterns.Frame(top=1, left=2, side=18, binning=binning).cut(counts)
    pixels = 18 // binning
    whole = counts[:, 1:19, 2:20].reshape(4, pixels, binning, pixels, binning)
    np.testing.assert_array_equal(cut, whole.mean(axis=(2, 4), dtype="f4"))
    assert cut.dtype == np.float32
