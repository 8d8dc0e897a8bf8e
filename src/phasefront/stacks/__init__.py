"""Stacks of images over energy: X-ray absorption (STXM), energy loss, X-ray emission."""
