"""`python -m menon.cli`, the same as `menon`."""

import sys

from menon.cli import main

if __name__ == "__main__":
    sys.exit(main())
