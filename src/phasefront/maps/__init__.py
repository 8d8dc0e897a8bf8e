"""Orientation maps in other programs' formats, in the frame of the scan."""
