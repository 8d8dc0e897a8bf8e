"""File formats of raw scans: a module each, with an opener that gives one `Scan`.

rosettasciio reads headers, and patterns wherever it does so block by block. Streams of frames,
whose files need not say how the scan lay, are read by their own structure.
"""

from phasefront.scans.formats.blockfile import open_blo
from phasefront.scans.formats.emd import open_hdf5
from phasefront.scans.formats.gatan import open_dm
from phasefront.scans.formats.hyperspy import open_hspy, open_zspy
from phasefront.scans.formats.merlin import open_mib
from phasefront.scans.formats.topspin import open_topspin
from phasefront.scans.formats.tvips import open_tvips

# Formats that store the scan's shape, by suffix; their openers take a path.
OPENERS = {
    ".blo": open_blo,
    ".app5": open_topspin,
    ".dm3": open_dm,
    ".dm4": open_dm,
    ".hspy": open_hspy,
    ".zspy": open_zspy,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".emd": open_hdf5,
}
# Streams of frames, by suffix; their openers take a path and a `config.ScanLayout`.
STREAMS = {".mib": open_mib, ".tvips": open_tvips}
