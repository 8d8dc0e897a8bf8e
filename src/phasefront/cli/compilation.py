"""Compile the numerical kernels ahead of the first run: part of setting up."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# A small virtual scan, and templates coarse enough to be made at once.
_SHAPE, _GRAINS, _TEMPLATE_STEP_DEG = (16, 16), 4, 4
# Of the spots that are made without patterns: the demo's camera and beam.
_SCALE, _DOSE = 0.00877, 1e6


def compile_kernels(config: str | Path) -> None:
    """Take a small virtual scan through all stages that are compiled, then throw it away.

    numba keeps what it compiled beside the source files, so later runs start at once. A compiler
    uses one processor: one process starts from patterns, another from lists of spots, and the first
    finds what the second has compiled. The machine is told from the config of an experiment with a
    virtual section. Raises InputError where it has none.

    orix's functions are generalised ufuncs, of which numba keeps two parts in two files: where two
    processes compile them at once, one's part calls the other's, which is not there, and every
    later import of orix fails. So the one that starts from patterns waits for the other's.
    """
    from phasefront.core.errors import InputError
    from phasefront.experiment.load import load

    if load(config).virtual is None:
        raise InputError(
            config, "it has no virtual section, whose scan would be compiled for", field="virtual",
            remedy="name one that has, as config/demo.yaml",
        )  # fmt: skip
    context = get_context("spawn")
    pool = ProcessPoolExecutor(2, context, initializer=_share, initargs=(context.Event(),))
    with pool:
        for work in [pool.submit(part, str(config)) for part in (_from_spots, _from_patterns)]:
            work.result()


def _share(orix_is_compiled) -> None:
    global _orix_is_compiled
    _orix_is_compiled = orix_is_compiled


def _from_spots(config: str) -> None:
    from phasefront.virtual import spot_lists

    try:
        _, specimen, crystals, templates = _small(config)
        spots, _ = spot_lists.simulate_spots(specimen, scale=_SCALE, dose=_DOSE, seed=1)
        _index(crystals, templates, spots)
    finally:
        _orix_is_compiled.set()


def _from_patterns(config: str) -> None:
    from phasefront.calibration import geometry
    from phasefront.calibration.centres import Geometry
    from phasefront.records.digests import Hashing
    from phasefront.scans import descriptions, files
    from phasefront.spots import vectors
    from phasefront.virtual import camera

    scale, specimen, crystals, templates = _small(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.blo"
        camera.simulate_scan(path, specimen, scale_nominal=scale)
        scan = files.open_scan(path)
        descriptions.describe_scan(
            scan, name="small", hashing=Hashing(path), bright_field_radius_px=8
        )
        Geometry.measure(scan, 40)  # without orix
        _orix_is_compiled.wait()
        calibrated = geometry.calibrate(
            scan, name="small", crystals=crystals, templates=templates, scale_nominal=scale,
            patterns=40,
        )  # fmt: skip
        spots = vectors.find_spots(scan.blocks(), calibrated, scan="small")
        _index(crystals, templates, spots, raw=(scan, calibrated))


def _small(config: str):
    """The camera's scale, a specimen of the pristine material, its phases and their templates."""
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.diffraction.templates import simulate_templates
    from phasefront.experiment.load import load
    from phasefront.virtual import particles, specimen

    experiment = load(config)
    material, instrument = experiment.material, next(iter(experiment.instruments.values()))
    grown = specimen.make_specimen(
        scan="small",
        material=experiment.virtual.material,
        phases=[
            particles.VirtualPhase.of_cif(phase.name, phase.cif, phase.ion_content)
            for phase in material.phases
        ],
        ion_content=material.pristine_ion_content,
        insertion_model="core-shell",
        seed=1,
        shape=_SHAPE,
        grains=_GRAINS,
    )
    crystals = read_crystals([phase.cif for phase in material.phases], material.names)
    templates = simulate_templates(
        crystals, voltage_kv=instrument.voltage_kv, precession_deg=instrument.precession_deg,
        resolution_deg=_TEMPLATE_STEP_DEG,
    )  # fmt: skip
    return instrument.scale, grown, crystals, templates


def _index(crystals, templates, spots, raw=None) -> None:
    """From spots to interfaces."""
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.grains import segmentation
    from phasefront.interfaces import tracing
    from phasefront.orientations.indexing import find_orientations
    from phasefront.phases import decisions

    orientations = find_orientations(spots, templates, crystals)
    _compile_orix()
    candidates = CandidatePhases(crystals)
    phases = decisions.decide_phases(spots, orientations, templates, candidates, raw=raw)
    grains = segmentation.find_grains(
        phases, candidates, misorientation_deg=5, min_positions=10, scan_step_nm=10
    )
    tracing.trace_interfaces(phases, grains, candidates)


def _compile_orix() -> None:
    """All generalised ufuncs of orix, after what a calibration needs first."""
    from orix.quaternion import Quaternion
    from orix.vector import Vector3d

    one = Quaternion.identity()
    _ = one * one, one.conj, one * Vector3d.xvector()
    _orix_is_compiled.set()
