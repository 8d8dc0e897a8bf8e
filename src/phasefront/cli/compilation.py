"""Compile the numerical kernels ahead of the first run: part of setting up."""

from __future__ import annotations

import tempfile
from pathlib import Path


def compile_kernels(config: str | Path) -> None:
    """Take a small virtual scan through all stages that are compiled, then throw it away.

    numba keeps what it compiled beside the source files, so later runs start at once. The machine
    is told from the config of an experiment with a virtual section.
    """
    from phasefront.calibration import geometry
    from phasefront.diffraction.candidates import CandidatePhases
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.diffraction.templates import simulate_templates
    from phasefront.experiment.load import load
    from phasefront.grains import segmentation
    from phasefront.interfaces import tracing
    from phasefront.orientations.indexing import find_orientations
    from phasefront.phases import decisions
    from phasefront.records.digests import Hashing
    from phasefront.scans import descriptions, files
    from phasefront.spots import vectors
    from phasefront.virtual import camera, particles, specimen

    experiment = load(config)
    material, virtual = experiment.material, experiment.virtual
    instrument = next(iter(experiment.instruments.values()))
    optics = {"voltage_kv": instrument.voltage_kv, "precession_deg": instrument.precession_deg}
    crystals = read_crystals([phase.cif for phase in material.phases], material.names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.blo"
        grown = specimen.make_specimen(
            scan="small",
            material=virtual.material,
            phases=[
                particles.VirtualPhase.of_cif(phase.name, phase.cif, phase.ion_content)
                for phase in material.phases
            ],
            ion_content=material.pristine_ion_content,
            insertion_model="core-shell",
            seed=1,
            shape=(16, 16),
            grains=4,
        )
        camera.simulate_scan(path, grown, scale_nominal=instrument.scale)
        scan = files.open_scan(path)
        descriptions.describe_scan(
            scan, name="small", hashing=Hashing(path), bright_field_radius_px=8
        )
        templates = simulate_templates(crystals, resolution_deg=4, **optics)
        calibrated = geometry.calibrate(
            scan,
            name="small",
            crystals=crystals,
            templates=templates,
            scale_nominal=instrument.scale,
            patterns=40,
        )
        found = vectors.find_spots(scan.blocks(), calibrated, scan="small")
        orientations = find_orientations(found, templates, crystals)
        candidates = CandidatePhases(crystals)
        phases = decisions.decide_phases(
            found, orientations, templates, candidates, raw=(scan, calibrated)
        )
        grains = segmentation.find_grains(
            phases, candidates, misorientation_deg=5, min_positions=10, scan_step_nm=10
        )
        tracing.trace_interfaces(phases, grains, candidates)
