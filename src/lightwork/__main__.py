"""`python -m lightwork` is the command `lightwork`."""

import sys

from lightwork.cli.main import main

sys.exit(main())
