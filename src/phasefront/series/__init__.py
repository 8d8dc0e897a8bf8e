"""In situ series: the same positions scan after scan, placed on the log of their cell."""
