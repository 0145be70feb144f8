"""`python -m datasets_vc.cli` is `dsvc`."""

from datasets_vc.cli.main import run

run()
