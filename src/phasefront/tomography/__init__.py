"""Unit cells from electron diffraction tomography: read, refined again, with errors that hold."""
