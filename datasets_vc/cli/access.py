"""How to get to a remote: the options of `remote add` and `clone`."""

from __future__ import annotations

from typing import Annotated

import typer

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
