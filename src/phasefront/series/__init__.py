"""The same positions scan after scan: their times, their place, and what they went through."""
