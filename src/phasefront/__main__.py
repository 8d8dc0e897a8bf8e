"""`python -m phasefront`."""

import sys

from phasefront.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
