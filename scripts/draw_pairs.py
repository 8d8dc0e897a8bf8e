"""Draw how many electrons tell each pair of phases apart, over the beam's directions."""

from phasefront.records.job import Job


def draw_pairs(job):
    from phasefront.core import netcdf
    from phasefront.diffraction.crystals import read_crystals
    from phasefront.layouts.pairs import PAIRS
    from phasefront.report.figures import pairs as pictures
    from phasefront.report.figures import style

    pairs = netcdf.read(job.pairs, PAIRS)
    crystals = {crystal.name: crystal for crystal in read_crystals(job.cifs, job.names)}
    style.save(pictures.draw_pairs(pairs, crystals, labels=job.labels), job.figure)


if __name__ == "__main__":
    job = Job(__doc__)
    job.input("pairs", "rated pairs of phases")
    job.input("cifs", "CIFs, in the order of the phases", many=True)
    job.settings("names", list[str]).settings("labels", dict[str, str])
    job.output("figure", "PNG to write")
    job.run(draw_pairs)
