"""The long campaign of faults: `make torture`.

    python -m tests.torture [CAMPAIGN...] [--kills N] [--seed S] [--minutes M] [--json FILE]

Prints a table of what was done and found, and each failure with the command that repeats it.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from tests.torture.campaign import Setting, Tally

CAMPAIGNS = {
    "kills": 1_200,
    "power": 1_000,
    "disk": 1_000,
    "flips": 10_000,
    "remotes": 300,
    "crowd": 16,
    "fairness": 90,
    "hostile": 600,
}
"""Modules of this package with a function `run`, and how many cases a long campaign has.

Of `crowd` it is how many processes there are, of `hostile` how many seconds it takes, of `fairness`
how many at each kind of remote.
"""


def main() -> int:
    options = _options()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=options.folder)).resolve()
    until = time.monotonic() + options.minutes * 60
    tallies = []
    for name in options.campaigns or CAMPAIGNS:
        setting = Setting(folder / name, getattr(options, name), options.seed, until)
        setting.folder.mkdir()
        tally = import_module(f"tests.torture.{name}").run(setting)
        tallies.append(tally)
        sys.stdout.write(_table(tally))
        sys.stdout.flush()
    if options.json:
        report = {
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": f"{platform.platform()}, Python {platform.python_version()}",
            "command": " ".join(sys.argv[1:]),
            "campaigns": [vars(tally) for tally in tallies],
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return int(any(tally.failures for tally in tallies))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture ARGS=")
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=", ".join(CAMPAIGNS))
    for name, count in CAMPAIGNS.items():
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N")
    parser.add_argument("--seed", type=int, default=1, help="of the first case of each")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop then")
    parser.add_argument("--folder", type=Path, help="where to work, instead of the system's")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    unknown = set(options.campaigns) - set(CAMPAIGNS)
    if unknown:
        parser.error(f"there is no campaign {sorted(unknown)}")
    return options


def _table(tally: Tally) -> str:
    lines = [f"{tally.name}: {tally.seconds:.0f} s, {len(tally.failures)} failures"]
    lines += [f"  {count:>7,}  {what}" for what, count in sorted(tally.counts.items())]
    return "\n".join([*lines, *(f"  FAILED {failure}" for failure in tally.failures)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
