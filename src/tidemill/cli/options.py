"""Options that many commands share; each is described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, errors as JSON on standard error.")]
GatewayUrl = Annotated[
    str | None,
    typer.Option("--gateway", "-g", metavar="URL", help="Else OPENFAAS_URL, else the local platform."),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Namespace; else openfaas-fn.")
]
StackFile = Annotated[
    str | None, typer.Option("--yaml", "-f", metavar="FILE|URL", help="Stack file; else stack.yaml, else stack.yml.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="Where the local platform keeps its data; else .tidemill."),
]
Envsubst = Annotated[Literal["true", "false"], typer.Option("--envsubst", help="Expand ${VAR} in the stack file.")]
Environment = Annotated[
    str | None,
    typer.Option("--environment", metavar="NAME", help="Add config/NAME.yml to every function's variables."),
]
Filter = Annotated[str | None, typer.Option("--filter", metavar="GLOB", help="Only functions whose name matches.")]
Regex = Annotated[str | None, typer.Option("--regex", metavar="REGEX", help="Only functions whose name matches.")]
EnvVars = Annotated[list[str] | None, typer.Option("--env", "-e", metavar="NAME=VALUE", help="Set a variable.")]
Labels = Annotated[list[str] | None, typer.Option("--label", "-l", metavar="NAME=VALUE", help="Set a label.")]
Annotations = Annotated[
    list[str] | None, typer.Option("--annotation", metavar="NAME=VALUE", help="Set an annotation.")
]
Secrets = Annotated[list[str] | None, typer.Option("--secret", metavar="NAME", help="Give the function a secret.")]
Constraints = Annotated[
    list[str] | None, typer.Option("--constraint", metavar="CONSTRAINT", help="Placement constraint.")
]
