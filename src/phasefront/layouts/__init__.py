"""What passes between the stages: one netCDF layout a stage, one module a layout.

Frame of all patterns: x along the columns of the camera, y along its rows (downwards),
z = x cross y. Electrons travel along -z, as in diffsims. Orientations are orix rotations from this
frame to the crystal's (v_crystal = O v_frame); crystals have e1 along a and e3 along c*, so a
reflection g of the crystal lies at ~O g in the pattern. Spatial frequencies are 1/d in
1/angstrom, without 2 pi. Rows and columns of the scan (y, x) have a frame of their own:
`maps.frames` says how the two lie to each other, and turns orientations to the scan's.
"""
