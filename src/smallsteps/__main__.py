"""`python -m smallsteps`: the command, where the script is not on the path."""

import sys

from smallsteps.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
