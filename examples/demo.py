"""The main job of datasets-vc on sample_data/, with every command printed before it runs.

Three folders stand for three machines that share nothing but a remote: one changes the data, one
trains on it, one proves the training reproduced.

    python examples/demo.py                 the remote is a folder
    python examples/demo.py --remote s3     the remote is an S3 server, started here
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_data"
DSVC = Path(sys.executable).with_name("dsvc")
MODELS = ("cnn", "rnn", "crnn")
BUCKET = "demo"


class Machine:
    """A folder that stands for a machine of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, "DSVC_AUTHOR": "Ada <ada@example.org>", **environment}
        folder.mkdir(parents=True, exist_ok=True)

    def dsvc(self, *arguments: str) -> None:
        """Run a command as a user would see it; the demo ends if it fails."""
        say(f"{self.folder.name}$ dsvc {shlex.join(arguments)}")
        done = subprocess.run([DSVC, *arguments], cwd=self.folder, env=self.environment)
        if done.returncode:
            sys.exit(f"demo: that command failed with status {done.returncode}")

    def ask(self, *arguments: str) -> Any:
        """The `--json` answer of a command, without showing it."""
        done = subprocess.run(
            [DSVC, *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
        )
        return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--remote", choices=("local", "s3"), default="local")
    parser.add_argument("--folder", type=Path, default=ROOT / "demo", help="made anew")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    started = time.monotonic()
    with remote_server(options.remote, options.folder) as (url, environment):
        laptop = Machine(options.folder / "laptop", environment)
        trainer = Machine(options.folder / "trainer", environment)
        prover = Machine(options.folder / "prover", environment)
        first_version(laptop, url)
        trainer.dsvc("clone", url, ".", "--no-checkout")
        second_version(laptop)
        pull_the_change(laptop, trainer)
        train(trainer, options.models)
        reproduce(trainer, prover, url)
    heading(
        f"Done in {time.monotonic() - started:.0f} s. The three machines are in {options.folder}."
    )


def first_version(laptop: Machine, url: str) -> None:
    heading("1. Record images, clips and texts as they lie in a folder")
    for media in ("digits", "clips", "texts"):
        shutil.copytree(SAMPLES / media, laptop.folder / media)
    laptop.dsvc("init")
    laptop.dsvc("commit", "-m", "Digits, moving digits, docstrings")
    laptop.dsvc("tag", "v1")
    laptop.dsvc("show", "v1")
    laptop.dsvc("remote", "add", "origin", url)
    laptop.dsvc("push")
    heading("   A machine for training takes the first version: one copy, as packs, no files")


def second_version(laptop: Machine) -> None:
    heading("2. Change the data as people do")
    change_data(laptop.folder)
    laptop.dsvc("status")
    laptop.dsvc("diff", "--stat")
    laptop.dsvc("commit", "-m", "Add shifted digits, mend labels and texts")
    laptop.dsvc("tag", "v2")
    laptop.dsvc("log")
    laptop.dsvc("push")


def change_data(folder: Path) -> None:
    """Add ten images, delete one, edit a text, relabel two texts, rename a folder."""
    for image in sorted(folder.glob("digits/train/3/*.png"))[:10]:
        shifted = ImageChops.offset(Image.open(image), 1, 0)
        shifted.save(image.with_name(f"{image.stem}-shifted.png"))
    sorted(folder.glob("digits/train/8/*.png"))[0].unlink()
    areas = sorted(path for path in (folder / "texts/train").iterdir())
    text = sorted(areas[0].iterdir())[0]
    text.write_text(text.read_text(encoding="utf-8") + "\nSee also the tutorial.\n", "utf-8")
    for wrong in sorted(areas[1].iterdir())[:2]:
        wrong.rename(areas[2] / wrong.name)
    (folder / "clips").rename(folder / "videos")


def pull_the_change(laptop: Machine, trainer: Machine) -> None:
    heading("3. The training machine pulls the second version: what moves is what changed")
    trainer.dsvc("pull")
    changes = laptop.ask("diff", "v1", "v2")
    new = [*changes["added"], *(pair["new"] for pair in changes["modified"])]
    say(
        f"  (new and changed files: {sum(entry['size'] for entry in new):,} bytes; the rest are "
        f"nodes of the manifest, for {len(changes['renamed']):,} renamed files; the whole dataset: "
        f"{laptop.ask('show', 'v2')['bytes']:,} bytes)"
    )


def train(trainer: Machine, models: tuple[str, ...]) -> None:
    heading("4. Train from the packs, without a checkout")
    for model in models:
        trainer.dsvc("train", model, "--data", "v2")
    trainer.dsvc("runs", "list")
    trainer.dsvc("push")


def reproduce(trainer: Machine, prover: Machine, url: str) -> None:
    heading("5. A third machine has only the remote's address, and proves the runs reproduced")
    prover.dsvc("init")
    prover.dsvc("remote", "add", "origin", url)
    for run in trainer.ask("runs", "list")["runs"]:
        # It was not recorded on this machine, which has to be told that its code may be executed.
        prover.dsvc("reproduce", run["run"], "--yes")


@contextmanager
def remote_server(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of an empty remote, and the environment that a client of it needs."""
    if kind == "local":
        yield str(folder / "remote"), {}
        return
    # The server of moto speaks S3 over HTTP, conditional writes included.
    port = free_port()
    server = subprocess.Popen(
        [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        make_bucket(environment)
        yield f"s3://{BUCKET}/signs", environment
    finally:
        server.terminate()
        server.wait()


def make_bucket(environment: Mapping[str, str]) -> None:
    """Make the bucket, as soon as the server answers."""
    import boto3
    from botocore.exceptions import EndpointConnectionError

    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="demo",
        aws_secret_access_key="demo",
        region_name="us-east-1",
    )
    for _ in range(100):
        try:
            client.create_bucket(Bucket=BUCKET)
            return
        except EndpointConnectionError:
            time.sleep(0.2)
    sys.exit("demo: the S3 server did not start")


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def heading(text: str) -> None:
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
