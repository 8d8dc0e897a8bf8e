"""Phase fractions of a scan, freed of confusion, with intervals."""
