"""A first config from someone's files: what they say is taken, what they do not stays open."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from cifs_of_two_atoms import cif_text
from hypothesis import given
from hypothesis import strategies as st
from projects import ROOT
from pydantic import TypeAdapter
from test_scans import patterns, signal, write

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import read_crystals
from phasefront.experiment.load import TO_FILL_IN, load, parse, validated
from phasefront.experiment.plan import Plan
from phasefront.experiment.settings.base import Name, refuse_same_names
from phasefront.experiment.settings.scans import ScanRow
from phasefront.experiment.tables import read_table
from phasefront.scans import files
from phasefront.starting import writing
from phasefront.starting.phases import moving_ion, propose_phases
from phasefront.starting.proposal import Request, names_of, propose
from phasefront.starting.statement import Statement
from phasefront.starting.tilt_series import find_series
from phasefront.virtual.tilt_series import Microscope, write_series

STRUCTURES = ROOT / "config/structures"
SODIUM = [str(STRUCTURES / f"{name}.cif") for name in ("Na3V2PO42F3", "Na2V2PO42F3", "NaV2PO42F3")]
LITHIUM = [str(STRUCTURES / f"{name}.cif") for name in ("LiFePO4", "FePO4")]
CUBE = (4.0, 4.0, 4.0, 90, 90, 90)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def request(**asked):
    known = {"run": "mine", "scans": [], "cifs": SODIUM, "logs": [], "patterns": [], "tilts": []}
    optics = {"voltage": 200.0, "precession": 0.8, "ion": None}
    return validated(Request, known | optics | asked, "phasefront new")


def begin(**asked):
    """Propose and write; the places that stay open."""
    proposal = propose(request(**asked))
    writing.write(proposal)
    return {place: one.comment for place, one in proposal.places() if one.value == TO_FILL_IN}


def write_pattern(path, header=""):
    rows = "".join(f"{4 + i / 20:.4f} 1000 31.6\n" for i in range(160))
    path.write_text(header + rows)


def write_log(path):
    hours = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    log = {
        "Test Time / s": [3600 * hour for hour in hours],
        "Voltage / V": [3.4, 3.5, 3.45, 3.6, 3.7, 3.65],
        "Current / A": [1e-4, 1e-4, 0, 1e-4, 1e-4, 0],
    }
    pd.DataFrame(log).to_csv(path, index=False)


def phases_of(*paths, ion=None):
    crystals = read_crystals(paths, [str(number) for number in range(len(paths))])
    found = propose_phases(crystals, moving_ion(crystals, ion))
    return [(phase.formula_units, phase.ion_content) for phase in found]


# ------------------------------------------------------------------------ phases


def test_formula_units_and_ions_are_those_of_the_projects_own_configs():
    for name, paths in (("demo", SODIUM), ("lfp", LITHIUM)):
        phases = load(ROOT / f"config/{name}.yaml").material.phases
        given = [(phase.formula_units, phase.ion_content) for phase in phases]
        assert phases_of(*paths) == given


def test_sites_refined_over_one_weigh_no_more_than_full_ones():
    """The published LiFePO4 has 16.5 O in a cell of 16; 157.76 g/mol is its formula's."""
    phase, _ = propose_phases(read_crystals(LITHIUM, ["LFP", "FP"]), "Li")
    assert phase.molar_mass == pytest.approx(157.76, abs=0.01)
    assert phase.ion_content == 1


def test_a_real_lithium_manganese_oxide_is_counted_as_its_files_say(shared_data):
    paths = [shared_data(f"structures/{n}.cif") for n in ("LCO", "LiMn2O4", "Li2MnO3")]
    assert phases_of(*paths) == [(3, 1.0), (8, 1.0), (4, 2.0)]


def test_two_metals_on_one_site_make_one_formula_unit(shared_data):
    mixed = shared_data("structures/heterosite_AMCSD.cif")
    assert phases_of(LITHIUM[0], mixed) == [(4, 1.0), (4, 0.0)]


def write_cif(path, sites, z=None):
    """A cubic cell; sites are rows of element, x and occupancy."""
    head, _, _ = cif_text("cell", CUBE, "P 1", "V").partition("V1 V")
    units = f"_cell_formula_units_Z {z}\nloop_\n_atom_site_label"
    head = head.replace("loop_\n_atom_site_label", units) if z else head
    rows = "".join(f"{e}{n} {e} {x} {x} {x} {o}\n" for n, (e, x, o) in enumerate(sites))
    path.write_text(head + rows)
    return str(path)


def test_stated_units_count_where_the_cell_holds_so_many(tmp_path):
    sites = [("V", 0, 1), ("V", 0.5, 1), ("Li", 0.25, 1)]
    assert phases_of(write_cif(tmp_path / "none.cif", sites)) == [(2, 0.5)]
    assert phases_of(write_cif(tmp_path / "one.cif", sites, z=1)) == [(1, 1.0)]
    assert phases_of(write_cif(tmp_path / "three.cif", sites, z=3)) == [(2, 0.5)]


def test_phases_of_one_host_are_counted_alike_whatever_their_files_state(tmp_path):
    """LiC6 and LiC12 have one formula unit each by their Z; one of these is twice the other."""
    small = [("V", 0, 1), ("V", 0.5, 1), ("Li", 0.25, 1)]
    large = [*small, ("V", 0.125, 1), ("V", 0.625, 1)]
    paths = [
        write_cif(tmp_path / "small.cif", small, z=1), write_cif(tmp_path / "large.cif", large, z=1)
    ]  # fmt: skip
    assert phases_of(*paths) == [(1, 1.0), (2, 0.5)]
    paths[1] = write_cif(tmp_path / "unstated.cif", large)
    assert phases_of(*paths) == [(1, 1.0), (2, 0.5)]


def test_broken_numbers_of_atoms_need_a_stated_count(tmp_path):
    sites = [("V", 0, 0.9), ("O", 0.5, 1), ("Li", 0.25, 0.5)]
    assert phases_of(write_cif(tmp_path / "none.cif", sites)) == [(None, None)]
    assert phases_of(write_cif(tmp_path / "one.cif", sites, z=1)) == [(1, 0.5)]


def test_the_ion_is_asked_for_where_several_may_move(tmp_path):
    both = [("V", 0, 1), ("Na", 0.5, 1), ("Li", 0.25, 1)]
    path = write_cif(tmp_path / "both.cif", both)
    with pytest.raises(InputError, match=r"hold Li and Na.*--ion Li"):
        phases_of(path)
    assert phases_of(path, ion="Na") == [(1, 1.0)]
    with pytest.raises(InputError, match="no CIF holds K, they hold Li, Na, V"):
        phases_of(path, ion="K")
    doped = write_cif(tmp_path / "doped.cif", [("V", 0, 1), ("Mg", 0.5, 1), ("Li", 0.25, 1)])
    assert phases_of(doped) == [(1, 1.0)]
    host = write_cif(tmp_path / "host.cif", [("V", 0, 1), ("O", 0.5, 1)])
    with pytest.raises(InputError, match="none of which is known to move"):
        phases_of(host)


# ------------------------------------------------------------------------ files


@given(st.lists(st.text(min_size=1).filter(lambda text: "\0" not in text)))
def test_whatever_files_are_called_their_names_are_names_and_differ(paths):
    names = names_of(paths)
    assert len(names) == len(paths)
    TypeAdapter(list[Name]).validate_python(names)
    refuse_same_names(names, "files")


@given(
    st.lists(st.text(st.characters(exclude_categories=("C", "Zl", "Zp"))), min_size=1),
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp"))),
)
def test_a_config_reads_as_it_was_proposed_whatever_stands_in_it(texts, comment):
    parts = Statement([Statement({"name": Statement(text, comment)}) for text in texts], comment)
    content = Statement({"first": Statement(0.5, comment), "parts": parts})
    read = yaml.safe_load(writing.config_text(content))
    assert read == {"first": 0.5, "parts": [{"name": text} for text in texts]}


def test_what_a_header_says_is_taken_and_what_it_does_not_stays_open(folder, shared_data):
    scan = str(shared_data("scans/astar_3x2.blo"))
    left = begin(scans=[scan], voltage=None, precession=None)
    assert yaml.safe_load((folder / "config/mine.yaml").read_text())["instruments"] == {
        "microscope": {"voltage_kv": 200, "precession_deg": TO_FILL_IN, "scale": TO_FILL_IN}
    }
    assert {place.partition(": ")[2] for place in left} == {
        "instruments.microscope.precession_deg", "instruments.microscope.scale",
    }  # fmt: skip
    assert (
        "header of astar_3x2.blo says 0.016"
        in left["config/mine.yaml: instruments.microscope.scale"]
    )


def test_scans_of_other_settings_are_of_other_instruments(folder, shared_data):
    scans = [str(shared_data(f"scans/{n}")) for n in ("astar_3x2.blo", "topspin_3x7.app5")]
    begin(scans=scans, precession=None)
    instruments = yaml.safe_load((folder / "config/mine.yaml").read_text())["instruments"]
    precession = [section["precession_deg"] for section in instruments.values()]
    assert precession == [TO_FILL_IN, 0.5]
    table = (folder / "config/mine/scans.tsv").read_text().splitlines()
    assert [line.split("\t")[-1] for line in table] == ["instrument", *instruments]


def test_a_header_that_contradicts_the_user_is_refused(folder, shared_data):
    scan = str(shared_data("scans/astar_3x2.blo"))
    with pytest.raises(InputError, match="200 kV, the config 300 kV"):
        begin(scans=[scan], voltage=300.0)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("volts", [200_000.0, 0.2, np.inf])
def test_a_number_that_no_microscope_has_stays_open(folder, shared_data, monkeypatch, volts):
    monkeypatch.setattr(files, "voltage_of", lambda scan: volts)
    monkeypatch.setattr(files, "precession_of", lambda scan: 800.0)
    left = begin(scans=[str(shared_data("scans/astar_3x2.blo"))], voltage=None, precession=None)
    assert {place.rpartition(".")[2] for place in left} == {"voltage_kv", "precession_deg", "scale"}


def test_a_scale_in_the_header_is_taken_where_a_camera_can_have_it(folder):
    data = patterns((2, 3, 64, 64), "uint8")
    for name, scale in (("a", 0.2), ("b", 0.2), ("c", 0.0001)):
        described = signal(data, scales=(5.0, 5.0, scale, scale))
        write(folder / f"{name}.hspy", "hspy", data, description=described)
    scans = ["a.hspy", "b.hspy", "c.hspy"]
    doubtful = [place for place, one in propose(request(scans=scans)).places() if one.doubtful]
    assert doubtful == ["config/mine.yaml: instruments.microscope-1.scale"]
    left = begin(scans=scans)
    instruments = yaml.safe_load((folder / "config/mine.yaml").read_text())["instruments"]
    assert [one["scale"] for one in instruments.values()] == [0.02, TO_FILL_IN]
    assert list(left.values()) == [
        "camera's scale, 1/angstrom per pixel, to within 2 %; the header of c.hspy says 0.0001"
        " 1/nm per pixel, by which it would see 0.00032 1/angstrom from centre to edge"
    ]


def test_a_stream_whose_shape_nothing_says_asks_for_it(folder, shared_data):
    left = begin(scans=[str(shared_data("scans/merlin_4x2_6bit.mib"))])
    assert "config/mine/scans.tsv: merlin_4x2_6bit.scan_shape" in left
    with pytest.raises(InputError, match=r"merlin_4x2_6bit\.scan_shape: this place says FILL_IN"):
        read_table("config/mine/scans.tsv", ScanRow)


def test_a_list_of_peaks_needs_nothing_more(folder, shared_data):
    peaks = str(shared_data("peaks/limno_particle_80x58.h5"))
    paths = [str(shared_data(f"structures/{n}.cif")) for n in ("LCO", "LiMn2O4", "Li2MnO3")]
    assert begin(scans=[peaks], cifs=paths, voltage=300.0, precession=0.0) == {}
    plan = Plan.load("config/mine.yaml")
    plan.check_files()
    assert plan.scans["kind"].tolist() == ["peaks"]


def test_a_log_leaves_mass_start_and_states_open(folder):
    write_log(folder / "charge.csv")
    left = begin(logs=["charge.csv"])
    assert set(left) == {
        "config/mine.yaml: material.pristine_molar_mass",
        "config/mine.yaml: material.pristine_ion_content",
        "config/mine.yaml: states.charge.rest",
        "config/mine/cycling.tsv: charge.mass_mg",
        "config/mine/cycling.tsv: charge.mass_error_mg",
    }
    assert (
        "417.79 if Na3V2PO42F3 was weighed"
        in left["config/mine.yaml: material.pristine_molar_mass"]
    )
    assert "2.5 h, half cycles 0 to 0, 2 rests, 3.4 to 3.7 V" in (
        folder / "config/mine.yaml"
    ).read_text().replace("\n# ", " ")


def test_a_wavelength_is_read_where_the_header_says_it(folder):
    write_pattern(folder / "a.xye", "# wavelength 0.4127 A\n")
    write_pattern(folder / "b.xye")
    left = begin(patterns=["a.xye", "b.xye"])
    assert left == {"config/mine/powder.tsv: b.wavelength": "angstrom"}
    text = (folder / "config/mine/powder.tsv").read_text()
    (folder / "config/mine/powder.tsv").write_text(text.replace(TO_FILL_IN, "0.7093"))
    plan = Plan.load("config/mine.yaml")
    plan.check_files()
    assert plan.patterns["wavelength"].tolist() == [0.4127, 0.7093]
    assert plan.patterns["state"].tolist() == ["a", "b"]


def test_what_cannot_be_begun_is_refused_and_leaves_nothing(folder):
    write_pattern(folder / "p.xye")
    write_pattern(folder / "p#1.xye")
    (folder / "broken.xye").write_text("no numbers\n")
    for asked, words in (
        ({}, "no file that was measured; name one by --scan, --log, --powder or --tomography"),
        ({"patterns": ["p.xye", "p.xye"]}, "'p.xye' is named twice"),
        ({"patterns": ["p.xye", "./p.xye"]}, "'p.xye' is named twice"),
        ({"patterns": ["p#1.xye"]}, "which no table takes; rename the file"),
        ({"patterns": ["absent.xye"]}, "there is no such file"),
        ({"patterns": ["broken.xye"]}, "no numbers"),
        ({"patterns": ["p.xye"], "cifs": [*SODIUM, "absent.cif"]}, "there is no such file"),
        ({"patterns": ["p.xye"], "run": "my run"}, "'my run' is no name"),
        ({"patterns": ["p.xye"], "voltage": 2e5}, "voltage: 200000.0 cannot be used"),
    ):
        with pytest.raises(InputError, match=words):
            begin(**asked)
        assert not (folder / "config").exists()


def test_the_same_structure_twice_is_refused(folder):
    shutil.copy(SODIUM[0], "again.cif")
    write_pattern(folder / "p.xye")
    with pytest.raises(InputError, match="has the same structure as"):
        begin(patterns=["p.xye"], cifs=[*SODIUM, "again.cif"])


@pytest.mark.parametrize("there", ["config/mine.yaml", "config/mine/other.tsv", "config/mine"])
def test_nothing_is_written_over(folder, there):
    write_pattern(folder / "p.xye")
    (folder / there).parent.mkdir(parents=True, exist_ok=True)
    (folder / there).write_text("kept")
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match="is there already, and is not written over"):
        begin(patterns=["p.xye"])
    assert sorted(folder.rglob("*")) == before
    assert (folder / there).read_text() == "kept"


@pytest.mark.parametrize("step", ["table_text", "config_text"])
def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch, step):
    write_pattern(folder / "p.xye")

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(writing, step, full)
    with pytest.raises(InputError, match="make room"):
        begin(patterns=["p.xye"])
    assert not list((folder / "config").iterdir())


# ------------------------------------------------------------------------ what is left open


def test_a_config_names_all_places_that_are_still_open():
    content = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    content["instruments"]["astar"]["scale"] = TO_FILL_IN
    content["material"]["phases"][1]["formula_units"] = TO_FILL_IN
    content["states"][0]["rest"] = TO_FILL_IN
    with pytest.raises(InputError) as refused:
        parse(content, "config/mine.yaml")
    assert str(refused.value) == (
        "config/mine.yaml: material.phases.Na2.formula_units, instruments.astar.scale,"
        " states.x3.0.rest: these places say FILL_IN; write what is true there."
    )


def test_the_command_says_what_is_left_and_check_what_still_is(folder):
    write_pattern(folder / "p.xye")

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "phasefront", *arguments], capture_output=True, text=True
        )

    done = command("new", "mine", "--powder", "p.xye", "--cif", *SODIUM)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Written: config/mine.yaml",
        "Written: config/mine/powder.tsv",
        "Still to fill in, where the files say FILL_IN:",
        "  config/mine/powder.tsv: p.wavelength: angstrom",
        "Then: phasefront check config/mine.yaml",
    ]
    checked = command("check", "config/mine.yaml")
    assert checked.returncode == 2
    assert checked.stderr == (
        "config/mine/powder.tsv: p.wavelength: this place says FILL_IN; write what is true there.\n"
    )
    again = command("new", "mine", "--powder", "p.xye", "--cif", *SODIUM)
    assert again.returncode == 2
    assert again.stderr.startswith("config/mine.yaml: is there already")
    text = (folder / "config/mine/powder.tsv").read_text()
    (folder / "config/mine/powder.tsv").write_text(text.replace(TO_FILL_IN, "0.4127"))
    assert command("check", "config/mine.yaml").returncode == 0


def write_tilts(folder, number=1, *, spots=True):
    """A tilt series of a particle of one of the sodium phases, as PETS2 leaves it."""
    axes = 1.01 * np.linalg.inv(read_crystals(SODIUM, ["3", "2", "1"])[number].reciprocal).T
    files = write_series(folder, axes, Microscope(), seed=1, spots=300, centring="AI"[number])
    if not spots:
        Path(files[2]).unlink()


def test_files_of_tilt_series_become_rows_of_a_table(folder):
    for name in ("p1", "p2"):
        write_tilts(folder / "raw" / name)
    write_tilts(folder / "p3")
    left = begin(tilts=["raw/p1", "raw/p2", *(f"p3/particle.{e}" for e in ("celllist", "pts"))])
    assert left == {}
    plan = Plan.load("config/mine.yaml")
    plan.check_files()
    assert plan.cells.index.tolist() == ["p1", "p2", "p3"]
    assert plan.cells["phase"].tolist() == ["Na2V2PO42F3"] * 3
    assert plan.cells["state"].tolist() == plan.cells.index.tolist()
    ends = [[Path(path).suffix for path in paths] for paths in plan.cells["paths"]]
    assert ends == [[".celllist", ".pts", ".xyz"]] * 2 + [[".celllist", ".pts"]]
    assert plan.cells["voltage_kv"].tolist() == [200.0] * 3


def test_what_no_file_of_a_tilt_series_says_stays_open(folder):
    write_tilts(folder / "p1", 0, spots=False)
    listed = folder / "p1/particle.celllist"
    kept = [line for line in listed.read_text().splitlines() if not line.startswith("cellsu")]
    listed.write_text("\n".join(kept) + "\n")
    write_pattern(folder / "a.xye", "# wavelength 0.4127 A\n")
    left = begin(tilts=["p1/particle.celllist"], patterns=["a.xye"], voltage=None)
    table = "config/mine/cells.tsv: particle"
    assert left.keys() == {
        "config/mine.yaml: cells.distortion_error",
        *(f"{table}.{column}" for column in ("state", "voltage_kv")),
    }
    assert left[f"{table}.state"] == "one of a"
    assert "the one with a lattice like it" in (folder / "config/mine/cells.tsv").read_text()


def test_a_lattice_of_no_phase_asks_for_it(folder):
    listed = "cell 5 5 5 90 90 90\ncellsu 0.1 0.1 0.1 0 0 0\nubmatrix\n.2 0 0\n0 .2 0\n0 0 .2\n"
    (folder / "a.celllist").write_text(f"cellItem active\n{listed}cellCentering P\nendCellItem\n")
    left = begin(tilts=["a.celllist"])
    said = left["config/mine/cells.tsv: a.phase"]
    assert said == "none has a lattice like it; one of Na3V2PO42F3, Na2V2PO42F3, NaV2PO42F3"


def test_files_that_are_no_tilt_series_are_refused(folder):
    (folder / "empty").mkdir()
    write_tilts(folder / "p1")
    (folder / "b.txt").write_text("x")
    shutil.copy(folder / "p1/particle.pts", "lone.pts")
    for named, words in (
        (["empty"], "holds no cell of a tilt series"),
        (["b.txt"], "no file of a cell that is known here"),
        (["lone.pts"], "states no unit cell that was measured"),
        (["p1", "p1"], "is named twice"),
    ):
        with pytest.raises(InputError, match=words):
            begin(tilts=named)
        assert not (folder / "config").exists()


def test_programs_files_are_found_in_a_folder(shared_data):
    found = {
        name: [Path(p).name for one in find_series([str(shared_data(f"tomography/{name}"))], [])
               for p in one.paths]
        for name in ("pets_glycine", "xds_cinchonine")
    }  # fmt: skip
    assert found == {
        "pets_glycine": ["glycine.celllist", "glycine.pts", "glycine.xyz"],
        "xds_cinchonine": ["CORRECT.LP", "INTEGRATE.HKL"],
    }
