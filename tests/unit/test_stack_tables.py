"""Stacks in an experiment: what they need is asked for, and told by `check` and the methods."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from stack_files import write_losses, write_sdf

from phasefront.cli.inspection import inspect
from phasefront.core.errors import InputError
from phasefront.experiment import values
from phasefront.experiment.plan import Plan
from phasefront.experiment.stacks import laid, mapped, repeats
from phasefront.report.jobs import Jobs
from phasefront.report.methods_of_stacks import tell_losses, tell_quantities, tell_valence

ROOT = Path(__file__).resolve().parents[2]
REFERENCES = [
    {"name": f"V{valence}", "valence": valence, "path": f"config/references/V{valence}.csv",
     "source": "multiplets by edrixs"}
    for valence in (3, 4, 5)
]  # fmt: skip
EDGES = [
    {"element": element, "path": "config/references/V3.csv", "beam_kev": 200,
     "collection_mrad": 30, "relative_error": 0.1, "source": "a program"}
    for element in ("Na", "V")
]  # fmt: skip
LOSSES = {"edges": EDGES, "ratio": ["Na", "V"], "fit_ev": [470, 1300]}


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """`planned(rows, **sections)`: the demo's plan with a table of stacks."""
    monkeypatch.chdir(ROOT)

    def plan(rows, **sections):
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines = ["\t".join(columns), *("\t".join(str(r.get(c, "")) for c in columns) for r in rows)]
        table = tmp_path / "stacks.tsv"
        table.write_text("\n".join(lines) + "\n")
        demo = yaml.safe_load(Path("config/demo.yaml").read_text())
        demo["tables"]["stacks"] = str(table)
        return Plan.parse(demo | sections, "demo.yaml")

    return plan


def xray(path="a.hdr", **more):
    return {"stack": "s1", "state": "x2.5", "path": str(path)} | more


def losses(name, **more):
    row = {"stack": name, "state": "x2.5", "path": f"{name}.hspy", "kind": "eels", "low_loss": "l"}
    return row | more


LOW = {"stack": "l", "state": "x2.5", "path": "l.hspy", "kind": "low-loss"}


def test_a_stack_needs_references_and_losses_a_ratio(planned):
    with pytest.raises(InputError, match="stack 's1' has no reference spectra"):
        planned([xray()])
    with pytest.raises(InputError, match="'e' is of energy losses, and no ratio is asked for"):
        planned([LOW, losses("e")])
    with pytest.raises(InputError, match="state 'x9' is not in the config"):
        planned([xray(state="x9")], chemistry={"references": REFERENCES})


def test_low_losses_and_repeats_are_held_together(planned):
    given = {"losses": LOSSES}
    doses = {"electrons_per_nm2": 400}
    plan = planned([LOW, losses("e", **doses), losses("f", repeat_of="e", **doses)], **given)
    assert repeats(plan.stacks, "e") == ["e", "f"]
    assert mapped(plan.stacks) == ["e"]
    assert values.value(plan, "stack.e.doses") == [
        {"stack": "e", "electrons_per_nm2": 400}, {"stack": "f", "electrons_per_nm2": 400}
    ]  # fmt: skip
    for rows, words in (
        ([LOW, losses("e", low_loss="m")], "'m' is no stack of the kind that low_loss names"),
        ([LOW, losses("e", low_loss="e")], "'e' is no stack of the kind that low_loss names"),
        ([LOW, losses("e", **doses), losses("f", repeat_of="g", **doses)], "'g' is no stack of"),
        (
            [LOW, losses("e", **doses), losses("f", repeat_of="e", **doses),
             losses("g", repeat_of="f", **doses)],
            "'f' is no stack of the kind that repeat_of names",
        ),
        ([LOW, losses("e", **doses), losses("f", repeat_of="e")], "a dose is not given"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            planned(rows, **given)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"chemistry": {"references": REFERENCES[:1]}}, "of one valence"),
        ({"chemistry": {"references": [*REFERENCES, REFERENCES[0]]}}, "the same name"),
        ({"chemistry": {"references": REFERENCES, "fit_ev": [528, 509]}}, "swap them"),
        ({"chemistry": {"ion_content": {"constant": 9, "per_valence": 0}}}, "per_valence is 0"),
        ({"losses": LOSSES | {"ratio": ["Na", "O"]}}, "there is no edge of O"),
        ({"losses": LOSSES | {"ratio": ["V", "V"]}}, "one element twice"),
        ({"losses": LOSSES | {"edges": EDGES * 2}}, "of the same element"),
        ({"losses": {"edges": EDGES, "ratio": ["Na", "V"]}}, "fit_ev is missing"),
        ({"stacks": {"max_density": 0}}, "greater than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(planned, section, words):
    with pytest.raises(InputError, match=words):
        planned([xray()], **{"chemistry": {"references": REFERENCES}} | section)


def test_what_stands_beside_a_stack_must_be_there_too(planned, tmp_path):
    rng = np.random.default_rng(0)
    path = write_sdf(tmp_path, 510.0 + np.arange(9), rng.poisson(500, (9, 12, 14)).astype(float))
    plan = planned([xray(path, i0=tmp_path / "none.txt")], chemistry={"references": REFERENCES})
    with pytest.raises(InputError, match=r"none.txt: there is no such file"):
        plan.check_files()
    gone = [REFERENCES[0] | {"path": "config/references/none.csv"}, *REFERENCES[1:]]
    plan = planned([xray(path)], chemistry={"references": gone})
    with pytest.raises(InputError, match=r"none.csv: there is no such file"):
        plan.check_files()


# At the fourth of nine energies, which is 0 eV.
ZERO_LOSS = (np.arange(9) == 3)[:, None, None]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"kind": "xray"}, "it holds energy loss, the table of stacks says xray"),
        ({"kind": "low-loss"}, "the strongest channel lies up to 10 eV from 0: no zero loss"),
    ],
)
def test_check_holds_the_kind_of_a_stack_against_its_file(planned, tmp_path, row, words):
    counts = np.ones((9, 12, 14))
    counts[8] = 2
    path = write_losses(tmp_path, 2 * np.arange(9.0) - 6, counts)
    plan = planned([xray(path, **row)], chemistry={"references": REFERENCES})
    told = [str(line) for line in inspect(plan)][-1]
    assert words in told


def test_check_tells_what_each_stack_holds(planned, tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.poisson(500, (9, 12, 14)).astype(float)
    path = write_sdf(tmp_path, 510.0 + np.arange(9), counts)
    low = write_losses(tmp_path, 2 * np.arange(9.0) - 6, counts + 1e5 * ZERO_LOSS)
    np.save(tmp_path / "m.npy", np.ones((3, 4)))
    rows = [
        xray(path, i0_region="0:12,0:5"),
        LOW | {"path": str(low)},
        {"stack": "m", "state": "x2.5", "path": str(tmp_path / "m.npy"), "kind": "map",
         "quantity": "phase", "unit": "rad", "error": 0.1},
        xray(path, stack="s2"),
    ]  # fmt: skip
    plan = planned(rows, chemistry={"references": REFERENCES})
    told = [str(line) for line in inspect(plan)][-4:]
    assert (
        "stack s1, X-ray absorption, 12 x 14 positions of 50 x 40 nm, 9 energies from 510"
        in (told[0])
    )
    assert "by pixels without a sample, rows 0 to 11, columns 0 to 4" in told[0]
    assert "stack l, energy loss" in told[1] and "beam of 200 kV" in told[1]
    assert "map m of phase (rad), 3 x 4 positions, 12 of them with a value, 1 to 1" in told[2]
    assert "nothing says how much light there was without a sample" in told[3]


class Done:
    """A job's record, as far as methods read it."""

    def __init__(self, **parameters):
        self.parameters, self.outputs = json.loads(json.dumps(parameters)), []


def test_methods_say_what_was_done(planned):
    balance = {"constant": 9, "per_valence": -2, "exchange_error": 0.1}
    plan = planned(
        [xray()], chemistry={"references": REFERENCES, "ion_content": balance}, losses=LOSSES
    )
    chemistry = [Done(settings=plan.experiment.value("chemistry"))]
    density = [Done(settings=plan.experiment.value("stacks"))]
    told = tell_valence(Jobs(chemistry, {"measure_density": density}))
    for words in ("above 2.2 were left out", "V3 (valence 3; multiplets by edrixs)",
                  "9 + (-2) v + 0 ± 0.1", "up to 2 % of stray light"):  # fmt: skip
        assert words in told
    told = tell_losses(Jobs([Done(settings=plan.experiment.value("losses"))], {}))
    assert "Na/V of one spectrum image is from cross sections of Na (a program; ± 10 %)" in told
    row = {"stack": "m", "quantity": "phase", "unit": "rad"}
    assert "phase (rad, `m`)" in tell_quantities(Jobs([Done(row=row)], {}))


LAID = {"scan": "grains-x2.5", "resolution_nm": 50}


def test_a_map_is_laid_on_a_scan_of_its_state(planned):
    given = {"chemistry": {"references": REFERENCES}}
    plan = planned([xray(**LAID), xray(stack="s2")], **given)
    assert laid(plan.stacks) == ["s1"]
    assert values.value(plan, "stack.s1.laying") == {
        "stack": "s1", "scan": "grains-x2.5", "resolution_nm": 50, "per_ion": None
    }  # fmt: skip
    assert "scan" not in values.value(plan, "stack.s1.row")
    for changes, words in (
        ({"scan": "x"}, "the scan 'x' is not in the table of scans"),
        ({"scan": "grains-x3.0"}, "is of the state x3.0, the stack of another"),
        ({"resolution_nm": ""}, "its resolution is not known"),
        ({"scan": ""}, "are of what is laid on a scan"),
        ({"resolution_nm": -1}, "greater than 0"),
    ):
        with pytest.raises(InputError, match=words):
            planned([xray(**LAID | changes)], **given)


def test_what_has_no_thickness_of_its_own_is_not_laid(planned):
    with pytest.raises(InputError, match="has no map of its own to lay"):
        planned([LOW | LAID, losses("e")], losses=LOSSES)
    phase = {"kind": "map", "quantity": "phase", "unit": "rad", "error": 0.1}
    with pytest.raises(InputError, match="by its thickness, which is not known"):
        planned([xray("m.npy", **phase, **LAID)])
    thick = {"thickness_map": "t.npy", "thickness_error": 0.1}
    assert laid(planned([xray("m.npy", **phase, **LAID, **thick)]).stacks) == ["s1"]


def test_ions_of_a_ratio_are_those_that_move(planned):
    rows = [LOW, losses("e")]
    assert planned(rows, losses=LOSSES | {"formula_atoms": 2}).experiment.losses.formula_atoms == 2
    with pytest.raises(InputError, match="the ratio is of V, not of Na"):
        planned(rows, losses=LOSSES | {"formula_atoms": 2, "ratio": ["V", "Na"]})


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"registration": {"channels": []}}, "at least 1 item"),
        ({"registration": {"channels": ["diffuse", "diffuse"]}}, "named twice"),
        ({"registration": {"unlike": 2}}, "less than or equal to 1"),
        ({"correlation": {"distances_nm": [0, 50, 50]}}, "do not rise"),
        ({"correlation": {"distances_nm": [-1, 50]}}, "greater than or equal to 0"),
    ],
)
def test_settings_of_laying_that_cannot_be_are_refused(planned, section, words):
    with pytest.raises(InputError, match=words):
        planned([xray()], **{"chemistry": {"references": REFERENCES}} | section)


def test_maps_of_a_state_are_of_the_particles_that_the_table_names(planned):
    given = {"chemistry": {"references": REFERENCES}}
    rows = [
        xray(), xray(stack="s2", **LAID), xray(stack="s3", particle="grain 7", **LAID),
        xray(stack="s4", state="x3.0"),
    ]  # fmt: skip
    linked = values.value(planned(rows, **given), "links")
    assert linked[1]["maps"] == {"s1": None, "s2": None, "s3": "grain 7"}
    assert linked[0]["maps"] == {"s4": None}
