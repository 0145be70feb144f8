"""`python -m datasets_vc.cli` is `dsvc`."""

import sys

from datasets_vc.cli.main import main

sys.exit(main())
