"""A material, a camera and tables that cannot be right are refused: what disagrees with what."""

from pathlib import Path

import pytest
import yaml
from projects import ROOT
from test_config import change

from phasefront.core.errors import InputError
from phasefront.diffraction.crystals import read_crystal
from phasefront.experiment import consistency
from phasefront.experiment.plan import Plan


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.chdir(ROOT)
    return yaml.safe_load(Path("config/demo.yaml").read_text())


PHASES = ["material", "phases"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["instruments", "astar", "voltage_kv"], 20, "voltage_kv: 20 cannot be used"),
        (["instruments", "astar", "voltage_kv"], 200_000, "voltage_kv: 200000 cannot be used"),
        (["material", "ion"], "Li", "material.ion: no CIF holds Li, they hold F, Na, O, P, V"),
        (["material", "ion"], "Na+", "material.ion: 'Na+' is no element"),
        (["material", "ion"], "", "material.ion: '' is no element"),
        ([*PHASES, 0, "formula_units"], 1, "Na3: ion_content 3 times formula_units 1 are 3 Na in"),
        ([*PHASES, 0, "formula_units"], 400, "are 1200 Na in the cell, but config/structures/Na3"),
        ([*PHASES, 0, "ion_content"], 2, "are 8 Na in the cell, but config/structures/Na3V2PO42F3"
                                         ".cif holds 12"),
        (["material", "pristine_molar_mass"], 0.41779, "0.41779 g/mol with 3 Na fits no phase: with"
                                                       " as many Na3 has 417.79"),
        (["material", "pristine_molar_mass"], 157.76, "fits no phase"),
        (["material", "pristine_ion_content"], 1.0, "fits no phase"),
        (["material", "pristine_ion_content"], 2.5, "417.79 g/mol is the mass of Na3, which holds 3"
                                                    " Na, and not 2.5"),
        (["material", "pristine_ion_content"], 30, "is more or less than any phase holds, 1 to 3"),
        ([*PHASES, 1, "parent_axes"], [[1, 0], [0, 1]], "parent_axes.0: [1, 0] cannot be"),
        ([*PHASES, 1, "parent_axes"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
         "Na2.parent_axes: the shared lattice is 6.3, 6.3, 10.8 angstrom"),
        ([*PHASES, 1, "parent_axes"], [[1, 1, 0], [-1, 1, 0], [0, 0, 2]], "the shared lattice is"),
        ([*PHASES, 1, "parent_axes"], [[1, 1, 0], [-1, 1, 0.13], [0, 0, 1]],
         "are not whole numbers or halves, thirds, quarters or sixths"),
        ([*PHASES, 1, "parent_axes"], [[1, 1, 0], [1, -1, 0], [0, 0, 1]],
         "the axes have the determinant -2"),
        (["material", "parent_point_group"], "4mmm", "point_group: '4mmm' is no point group"),
        (["material", "parent_point_group"], "m-3m", "m-3m is no symmetry of the shared lattice,"
                                                     " which is 9.03, 9.04, 10.7 angstrom"),
        (["material", "parent_point_group"], "6/mmm", "6/mmm is no symmetry of the shared lattice"),
        (["material", "two_phase_fields"], [{"Na3": 2, "Na2": 3}], "exchange the two ion contents"),
        (["run"], "my run", "run: 'my run' is no name; a name has letters a to z, digits and"),
        (["states", 1, "name"], "x3.0", "two states have the same name"),
        (["states", 1, "name"], "X3.0", "differ by capitals alone"),
        (["instruments", "ASTAR"], {"voltage_kv": 200}, "differ by capitals alone"),
        (["virtual", "states", "x9"], {"ion_content": 1}, "the state 'x9' is not in both"),
        (["virtual", "states", "x3.0"], None, "the state 'x3.0' is not in both"),
        (["run"], "other", "virtual: it says what virtual files to make, but the tables name none"),
        ([*PHASES, 0, "cif"], "", "the path is empty"),
        ([*PHASES, 0, "cif"], "a{b}.cif", "has signs that no path may have"),
        ([*PHASES, 0, "cif"], "a<b>.cif", "has signs that no path may have"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_right_is_refused(demo, path, value, words):
    change(demo, path, value)
    with pytest.raises(InputError) as caught:
        Plan.parse(demo, "demo.yaml").check_files()
    assert words in str(caught.value)
    assert str(caught.value).startswith("demo.yaml: ")


@pytest.mark.parametrize("key", ["ion_content", "cif"])
def test_two_phases_swapped_are_refused(demo, key):
    one, other = demo["material"]["phases"][0], demo["material"]["phases"][2]
    one[key], other[key] = other[key], one[key]
    with pytest.raises(InputError, match="Na in the cell, but"):
        Plan.parse(demo, "demo.yaml").check_files()


@pytest.mark.parametrize("units", [1, 3, 400])
def test_a_phase_without_ions_has_the_formula_units_of_its_host(monkeypatch, units):
    monkeypatch.chdir(ROOT)
    material = Plan.load("config/lfp.yaml").experiment.material
    crystals = [read_crystal(phase.cif, name=phase.name) for phase in material.phases]
    consistency.check_material(material, crystals, "lfp.yaml")
    wrong = material.phases[1].model_copy(update={"formula_units": units})
    # Also where they are not said to coexist.
    for fields in (material.two_phase_fields, []):
        changed = {"phases": [material.phases[0], wrong], "two_phase_fields": fields}
        with pytest.raises(InputError, match="formula_units: without Li a formula unit of LFP has"):
            consistency.check_material(material.model_copy(update=changed), crystals, "lfp.yaml")


def test_the_published_particle_of_three_lattices_is_no_contradiction(monkeypatch, shared_data):
    monkeypatch.chdir(ROOT)
    material = Plan.load("config/limno.yaml").experiment.material
    crystals = [
        read_crystal(shared_data(f"structures/{Path(phase.cif).name}"), name=phase.name)
        for phase in material.phases
    ]
    consistency.check_material(material, crystals, "limno.yaml")


@pytest.mark.parametrize(
    ("scale", "camera", "right"),
    [
        (0.0175, (144, 144), True), (1.75, (144, 144), False), (0.00175, (144, 144), False),
        (0.175, (144, 144), False), (0.005, (256, 256), True), (0.01, (512, 512), True),
        (0.004, (128, 128), False), (0.02, (256, 64), True),
    ],
)  # fmt: skip
def test_a_scale_is_bounded_by_the_camera_and_the_largest_radius(scale, camera, right):
    def check():
        consistency.check_scale(
            scale, camera, 1.2, source="x.yaml", field="instruments.a.scale", scan="s"
        )

    if right:
        check()
    else:
        with pytest.raises(InputError, match="1/angstrom from its centre to its edge"):
            check()


def test_a_real_scan_beside_a_virtual_section_is_refused(demo, tmp_path):
    text = Path("config/demo/scans.tsv").read_text()
    path = tmp_path / "scans.tsv"
    path.write_text(text.replace("results/demo/raw/grains-x2.0.blo", "data/real.blo"))
    demo["tables"]["scans"] = str(path)
    with pytest.raises(InputError, match=r"grains-x2\.0\.path: 'data/real\.blo' is not what the"):
        Plan.parse(demo, "demo.yaml")


@pytest.mark.parametrize(
    ("reach", "right"), [(0.0, False), (0.2, False), (0.5, True), (2.0, True), (8.0, False)]
)
def test_peaks_in_another_unit_are_refused(reach, right):
    """2 1/angstrom is the real list's; 0.2 and 8 are as in 1/nm or its inverse taken twice."""
    if right:
        consistency.check_reach(reach, 1.2, source="p.h5")
        return
    with pytest.raises(InputError, match=f"its peaks end at {reach:g} 1/angstrom"):
        consistency.check_reach(reach, 1.2, source="p.h5")
