"""The verb remote: names for stores elsewhere, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.addresses import Access, without_secrets
from datasets_vc.cli.access import (
    AnonymousOption,
    EndpointOption,
    ProfileOption,
    RegionOption,
    SharedOption,
)
from datasets_vc.cli.render import shown, table
from datasets_vc.cli.session import Session, new_listing_app, verb

if TYPE_CHECKING:
    from datasets_vc.backends import ProbeResult
    from datasets_vc.config import RemoteConfig
    from datasets_vc.sync.remotes import Added

app = new_listing_app("Name the stores elsewhere that versions move to and from.")


@verb(
    app,
    "add",
    "dsvc remote add origin s3://bucket/signs\n"
    "dsvc remote add disk /mnt/disk/signs\n"
    "dsvc remote add team /srv/team/signs --shared group\n"
    "dsvc remote add lab sftp://ada@lab.example/srv/signs\n"
    "dsvc remote add minio s3://signs --endpoint https://minio.example:9000 --profile lab",
)
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="A folder, or s3://, gs://, az://, sftp://, https:// and the like."
        ),
    ],
    single_writer: Annotated[
        bool,
        typer.Option(
            "--single-writer",
            help="Push even if it has no conditional write: only one machine pushes at a time.",
        ),
    ] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    anonymous: AnonymousOption = False,
    shared: SharedOption = None,
    new_id: Annotated[
        bool,
        typer.Option("--new-id", help="Give the store there an id of its own: it is a copy."),
    ] = False,
) -> None:
    """Give a store elsewhere a name.

    Of another workspace its store is meant.

    It is tried once: can it be reached, can it be written without losing another's writes? No
    credentials are kept: they are where the cloud's own tools, or ssh, look for them.

    With --shared a folder, and all that any user makes in it later, is for its group to write.

    The workspace's own store is refused, by whatever way it is reached. A copy of it, as of a
    folder or a bucket, is another store; with --new-id that is written down there.
    """
    address = session.address(url)
    access = Access(endpoint, region, profile, anonymous)
    remotes = session.repository.remotes
    found = remotes.add(
        name,
        address,
        single_writer=single_writer,
        access=access,
        shared=shared,
        new_id=new_id,
    )
    session.done(
        found,
        lambda found: {
            "remote": name,
            **_remote_json(remotes.list()[name]),
            "store": found.relation,
            "found": _found_json(found),
        },
        lambda found: [
            f"Added remote {shown(name)}: {shown(remotes.list()[name].url)}",
            *_found_lines(found),
            *_store_lines(found, name, address),
        ],
    )


def _found_json(found: ProbeResult) -> dict[str, bool]:
    return {
        "reachable": found.reachable,
        "readable": found.readable,
        "writable": found.writable,
        "conditional_writes": found.conditional_writes,
        "ranges": found.ranges,
        "made": found.made,
    }


def _found_lines(found: ProbeResult) -> Iterator[str]:
    abilities = _found_json(found)
    if abilities.pop("made"):
        yield "Made that folder: there was none."
    for word, able in abilities.items():
        yield f"  {word.replace('_', ' '):18} {'yes' if able else 'no'}"
    if not found.writable:
        yield "Nothing can be pushed there: it is for clone, fetch and pull."
    elif not found.conditional_writes:
        yield "Only one machine may push there at a time: two could undo each other's work."
    if not found.ranges:
        yield "Objects come only whole: a part of a pack costs all that lies before it."


def _store_lines(found: Added, name: str, address: str) -> Iterator[str]:
    if found.relation is None and found.writable:
        yield "There is no store there yet: the first push makes it."
    if found.renewed:
        yield "The store there has a new id."
    elif found.relation == "copy":
        yield (
            "It is a copy of this workspace's store, and has the same id. Give it one of its own: "
            f"dsvc remote remove {shown(name)}, then dsvc remote add {shown(name)} "
            f"{shown(address)} --new-id"
        )
    elif found.relation == "unknown":
        yield (
            "It may be this workspace's own store: nothing could be written to find out. 'drop' "
            "does not count it."
        )


@verb(app, "list", "dsvc remote list\ndsvc remote list -v")
def list_(session: Session) -> None:
    """List the remotes; -v says how they are reached."""
    lines = _detailed_lines if session.options.verbose else _lines
    session.answer(session.repository.remotes.list(), _json, lines)


def _json(remotes: Mapping[str, RemoteConfig]) -> dict[str, Any]:
    return {"remotes": [_remote_json(known) for _, known in sorted(remotes.items())]}


def _remote_json(known: RemoteConfig) -> dict[str, Any]:
    return {
        "name": known.name,
        # Whoever wrote the file by hand may have written more into it than we would.
        "url": without_secrets(known.url),
        "single_writer": known.single_writer,
        **asdict(known.access),
        "endpoint": known.access.endpoint and without_secrets(known.access.endpoint),
    }


def _lines(remotes: Mapping[str, RemoteConfig]) -> Iterator[str]:
    rows = [
        (shown(name), shown(without_secrets(known.url))) for name, known in sorted(remotes.items())
    ]
    return table(("NAME", "URL"), rows) if rows else iter(["No remotes."])


def _detailed_lines(remotes: Mapping[str, RemoteConfig]) -> Iterator[str]:
    rows = [
        tuple(map(shown, (name, without_secrets(known.url), ", ".join(_details(known)))))
        for name, known in sorted(remotes.items())
    ]
    return table(("NAME", "URL", "HOW"), rows) if rows else iter(["No remotes."])


def _details(known: RemoteConfig) -> Iterator[str]:
    for word in ("endpoint", "region", "profile"):
        if value := getattr(known.access, word):
            yield f"{word} {without_secrets(value)}"
    if known.access.anonymous:
        yield "anonymous"
    if known.single_writer:
        yield "single writer"


@verb(app, "remove", "dsvc remote remove disk")
def remove(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one.")],
) -> None:
    """Forget a remote; what it holds stays there."""
    session.repository.remotes.remove(name)
    session.done(
        name,
        lambda _: {"remote": name, "removed": True},
        lambda _: [f"Removed remote {shown(name)}."],
    )
