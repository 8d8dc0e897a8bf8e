"""What `make bench` runs: phasefront beside the systems that people use today."""
