"""How to get to a remote, and who may use a folder: options of `remote add`, `clone`, `init`."""

from __future__ import annotations

from typing import Annotated

import typer

from datasets_vc.permissions import Sharing

EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="The server, if not the cloud's own: S3, GCS, Azure.",
    ),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", metavar="NAME", help="Of the cloud: S3.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Which credentials of those in ~/.aws: S3."),
]
AnonymousOption = Annotated[
    bool, typer.Option("--anonymous", help="Ask without credentials: public S3, GCS, Azure.")
]

SharedOption = Annotated[
    Sharing | None,
    typer.Option(
        "--shared",
        metavar="group|all",
        help="Let the folder's group write to the store; all: and others read it.",
    ),
]
