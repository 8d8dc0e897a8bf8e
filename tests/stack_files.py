"""Files of stacks as beamlines and microscopes write them, each of the same images."""

from pathlib import Path

import h5py
import numpy as np


def write_sdf(folder: Path, energy, counts, *, step_um=(0.05, 0.04), unit="counts", dwell_ms=1.0):
    """A .hdr with an .xim for each energy; rows y, columns x, um."""
    number, rows, columns = counts.shape
    axes = {"PAxis": (columns, step_um[1]), "QAxis": (rows, step_um[0])}
    blocks = "\n".join(
        f'{name} = {{ Name = "Sample"; Unit = "um"; Min = 0; Max = 1; Dir = 1;\n Points = '
        f"({size}, {', '.join(f'{step * i:.6f}' for i in range(size))});\n}};"
        for name, (size, step) in axes.items()
    )
    energies = ", ".join(f"{value:.6f}" for value in energy)
    header = (
        'ScanDefinition = { Label = "s.hdr"; Type = "NEXAFS Image Scan"; Flags = "Image Stack";'
        f" Dwell = {dwell_ms};\n Regions = (1,\n{{\n{blocks}\n}});\n"
        f'StackAxis = {{ Name = "Energy"; Unit = "eV"; Points = ({number}, {energies});\n}};\n'
        f'Channels = (1,\n{{ Name = "c"; Unit = "{unit}";}});\n}};\n'
    )
    path = folder / "s.hdr"
    path.write_text(header)
    for at, image in enumerate(counts):
        lines = ["\t".join(f"{value:.6f}" for value in row) + "\t" for row in image]
        (folder / f"s_a{at:03d}.xim").write_text("\r\n".join(lines) + "\r\n")
    return path


def write_hermes(folder: Path, energy, counts, *, step_um=(0.05, 0.04)):
    """PIXELATOR's HDF5: energy, y, x."""
    path = folder / "s.hdf5"
    with h5py.File(path, "w") as file:
        group = file.create_group("entry1/Counter0")
        group["data"], group["energy"] = counts, energy
        group["sample_y"] = step_um[0] * np.arange(counts.shape[1])
        group["sample_x"] = step_um[1] * np.arange(counts.shape[2])
        file["entry1/collection/beamline"] = np.array([b"Hermes"])
    return path


def write_nxstxm(
    folder: Path, energy, counts, *, order=(0, 1, 2), axes=True, monitor=None, unit="um",
    energy_unit="eV", step_um=(0.05, 0.04),
):  # fmt: skip
    """NXstxm with its axes in any order, named by `axes`, or by `axis` as in older files."""
    names = ["energy", "sample_y", "sample_x"]
    path = folder / "s.nxs"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1")
        entry["definition"] = np.array([b"NXstxm"])
        group = entry.create_group("counter0")
        group["data"] = counts.transpose(order)
        group["energy"] = energy
        group["energy"].attrs["units"] = energy_unit
        for axis, size, step in zip(names[1:], counts.shape[1:], step_um, strict=True):
            group[axis] = step * np.arange(size)
            if unit:
                group[axis].attrs["units"] = unit
        if axes:
            group.attrs["axes"] = [names[at] for at in order]
        else:
            for place, at in enumerate(order, start=1):
                group[names[at]].attrs["axis"] = place
        if monitor is not None:
            entry["control/data"] = monitor
    return path


def write_mantis(folder: Path, energy, counts, *, white=None, step_um=(0.05, 0.04)):
    """Mantis's exchange: x, y, energy."""
    path = folder / "s.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("exchange")
        group["data"], group["energy"] = counts.transpose(2, 1, 0), energy
        for name, size, step in zip("yx", counts.shape[1:], step_um, strict=True):
            group[name] = step * np.arange(size)
            group[name].attrs["units"] = "um"
        if white is not None:
            file["spectromicroscopy/normalization/white_spectrum"] = white
            file["spectromicroscopy/normalization/white_spectrum_energy"] = energy
    return path


def write_ncb(folder: Path, energy, counts, *, scale=-1.0, step_um=(0.05, 0.04)):
    """aXis2000's array and header; a positive scale stores whole numbers of two bytes."""
    path = folder / "s.ncb"
    kind = "<f4" if scale < 0 else "<i2"
    np.ascontiguousarray(counts * max(scale, 1) if scale > 0 else counts).astype(kind).tofile(path)
    number, rows, columns = counts.shape
    ends = [(columns - 1) * step_um[1], (rows - 1) * step_um[0]]
    lines = [f"{columns} {rows} {scale}", *(f"0 {end:.6f}" for end in ends), f"{number}"]
    lines += [f"{value:.6f}" for value in energy]
    lines += [f"image{at} {value:.6f} 2.0" for at, value in enumerate(energy)]
    (folder / "s.dat").write_text("\n".join(lines) + "\n")
    return path


def write_losses(
    folder: Path, energy, counts, *, beam_kev=200.0, name="s", step_nm=2.0, collection=30.0
):
    """A spectrum image of HyperSpy, by rosettasciio, spectra last."""
    from rsciio.hspy import file_writer

    number, rows, columns = counts.shape
    instrument = {"beam_energy": beam_kev, "convergence_angle": 10.0,
                  "Detector": {"EELS": {"collection_angle": collection}}}  # fmt: skip
    if beam_kev is None:
        del instrument["beam_energy"]
    navigation = {"offset": 0.0, "scale": step_nm, "units": "nm", "navigate": True}
    signal = {
        "data": np.moveaxis(counts, 0, -1),
        "axes": [
            {"name": "y", "size": rows, "index_in_array": 0, **navigation},
            {"name": "x", "size": columns, "index_in_array": 1, **navigation},
            {"name": "Energy loss", "size": number, "offset": float(energy[0]), "index_in_array": 2,
             "scale": float(energy[1] - energy[0]), "units": "eV", "navigate": False},
        ],
        "metadata": {"General": {"title": ""}, "Signal": {"signal_type": "EELS"},
                     "Acquisition_instrument": {"TEM": instrument}},
        "original_metadata": {}, "package_info": {"package": "", "package_version": ""},
        "attributes": {"_lazy": False}, "learning_results": {}, "tmp_parameters": {}, "models": {},
    }  # fmt: skip
    path = folder / f"{name}.hspy"
    file_writer(str(path), signal)
    return path
