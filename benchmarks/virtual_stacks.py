"""Virtual X-ray stacks: grains of known spectra, through Beer and Lambert's law and a detector."""

import numpy as np
from scipy import ndimage


def grains(shape, seed, *, number=6, fine=1):
    """Thickness, 0 to about 1, of ellipses with soft edges and flat tops: at `fine` times as many
    places either way as a shape (y, x) has pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.indices([fine * size for size in shape]) / fine
    total = np.zeros(y.shape)
    for _ in range(number):
        centre = rng.uniform(0.25, 0.75, 2) * shape
        radius = rng.uniform(0.1, 0.2) * min(shape)
        distance = np.hypot(y - centre[0], (x - centre[1]) * rng.uniform(0.7, 1.3))
        total = np.maximum(total, rng.uniform(0.6, 1) * np.clip((radius - distance) / 3, 0, 1))
    return total


def measured(
    density, *, photons, seed, stray=0.0, dark=0.0, shift=None, i0_slope=0.0
):  # fmt: skip
    """Counts (energy, y, x) of optical densities of which the frame is larger by `shift`'s reach.

    `stray` is the share of the light that nothing takes away, `i0_slope` the relative change of I0
    over the stack.
    """
    rng = np.random.default_rng(seed)
    number = len(density)
    i0 = photons * (1 + i0_slope * np.linspace(-0.5, 0.5, number))
    if shift is not None:
        density = np.stack(
            [
                ndimage.shift(one, move, order=3, mode="nearest")
                for one, move in zip(density, shift, strict=True)
            ]
        )
    through = (1 - stray) * np.exp(-density) + stray
    return rng.poisson(i0[:, None, None] * through + dark).astype(float), i0


VANADIUM_EV = 506 + 0.2 * np.arange(116)


def truth_spectra(read, energy, *, stretch=1.0, blur=0.15):
    """Spectra (energy, 3) of V3+, V4+ and V5+ of another crystal field than the references'.

    Lines lie `stretch` times as far from their mean, and each is blurred by `blur` eV; above them
    is the continuum of V and below the edge a falling background, as per 100 nm of NVPF.
    """
    fine = np.arange(500.0, 540.0, 0.05)
    spectra = []
    for own, values in read:
        centre = np.average(own, weights=values)
        line = np.interp((fine - centre) / stretch + centre, own, values) / stretch
        line = ndimage.gaussian_filter1d(line, blur / 0.05)
        step = 0.1 * (
            1 / (1 + np.exp(-(fine - 516.5) / 0.5)) + 0.5 / (1 + np.exp(-(fine - 523.5) / 0.6))
        )
        spectra.append(np.interp(energy, fine, line + step))
    return np.stack(spectra, axis=1), 0.5 - 0.004 * (energy - energy[0])
