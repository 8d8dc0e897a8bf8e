"""Phase fronts in single battery-cathode grains, from 4D-STEM, cycling and powder diffraction."""

__version__ = "0.1.0"
