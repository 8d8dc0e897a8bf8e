"""Draw how many electrons tell each pair of phases apart, over the beam's directions."""

from phasefront.config import Material
from phasefront.provenance.job import Job


def draw_pairs(job):
    from phasefront import layouts, netcdf
    from phasefront.crystals import read_crystals
    from phasefront.figures import pairs as pictures
    from phasefront.figures import style

    pairs = netcdf.read(job.pairs, layouts.PAIRS)
    crystals = {crystal.name: crystal for crystal in read_crystals(job.cifs, job.material.names)}
    style.save(pictures.draw_pairs(pairs, crystals, labels=job.material.labels), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("pairs", "rated pairs of phases")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("material", Material).output("figure", "PNG to write")
    job.run(draw_pairs)
