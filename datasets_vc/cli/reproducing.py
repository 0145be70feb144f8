"""The verb that trains a recorded run again: reproduce."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.asking import caller
from datasets_vc.cli.failure import DIFFERS, DONE, NOT_RESTORABLE, as_data
from datasets_vc.cli.render import shown
from datasets_vc.cli.runs import Run, Settings, Threads, Workers, settings_of
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.streams import work_is_done
from datasets_vc.errors import NotRestorableError
from datasets_vc.runs.arguments import Overrides
from datasets_vc.runs.compare import DIVERGED

if TYPE_CHECKING:
    from datasets_vc.runs.compare import Difference, InputDifference
    from datasets_vc.runs.runs import Reproduction

app = new_app()

UNRESTORABLE = "NOT-RESTORABLE"


@verb(
    app,
    "reproduce",
    "dsvc reproduce 3f9a1c20\ndsvc reproduce 3f9a1c20 --steps 50\n"
    "dsvc reproduce 3f9a1c20 --yes --pass-env CUDA_HOME",
)
def reproduce(
    session: Session,
    run: Run,
    steps: Annotated[int | None, typer.Option(min=1, help="Compare only so many steps.")] = None,
    workers: Workers = None,
    threads: Threads = None,
    settings: Settings = None,
    data: Annotated[
        str | None, typer.Option(metavar="REV", help="Another version than the recorded one.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="Call it equivalent if the metrics differ by no more than this."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Execute it even if it was not recorded here.")
    ] = False,
    pass_env: Annotated[
        list[str] | None,
        typer.Option(
            "--pass-env", metavar="NAME", help="Let it have this variable; may be repeated."
        ),
    ] = None,
) -> int:
    """Train a recorded run again and say whether it is the same.

    Data, code and settings are those of the record, but for what the options change. The verdict
    is BIT-IDENTICAL, TRACE-IDENTICAL(n), EQUIVALENT, DIVERGED or NOT-RESTORABLE; whatever differs
    first is named.

    This executes the code of the record. Of a run that you did not record in this workspace it says
    where it came from, and asks; without a terminal it refuses unless --yes is given. The process
    gets an empty home folder and of the environment no more than the recorded variables, PATH,
    TMPDIR and what a process needs: no tokens and keys lie around there, unless --pass-env names
    them. That is no protection against code that looks for them: it can read and write what you
    can, your files as well as the variables of your other processes.
    """
    overrides = Overrides(
        data=data,
        settings=settings_of(settings),
        workers=workers,
        threads=threads,
        steps=steps,
        tolerance=tolerance,
        quiet=session.options.quiet,
    )
    try:
        result = session.repository.runs.reproduce(
            run, overrides, session.progress, caller(session, yes=yes, passed=pass_env or ())
        )
    except NotRestorableError as error:
        session.answer(
            error, lambda found: _unrestorable_json(run, found), lambda _: [UNRESTORABLE]
        )
        if session.options.json:
            return NOT_RESTORABLE
        raise
    work_is_done()
    session.answer(result, _reproduction_json, _reproduction_lines)
    return DIFFERS if result.comparison.verdict == DIVERGED else DONE


def _unrestorable_json(run: str, error: NotRestorableError) -> dict[str, Any]:
    return {"run": run, "verdict": UNRESTORABLE, "first_difference": None, **as_data(error)}


def _reproduction_json(result: Reproduction) -> dict[str, Any]:
    found = result.comparison.first_difference
    return {
        "run": result.run.id,
        "again": result.again.id,
        "dataset": result.again.dataset,
        "verdict": result.comparison.verdict,
        "steps": result.comparison.steps,
        "first_difference": _difference_json(found) if found else None,
        "inputs": [_input_json(changed) for changed in result.comparison.inputs],
    }


def _difference_json(found: Difference) -> dict[str, Any]:
    return {
        "part": found.part,
        "step": found.step,
        "meaning": found.meaning,
        "was": found.was,
        "now": found.now,
    }


def _input_json(changed: InputDifference) -> dict[str, Any]:
    return {"name": changed.name, "was": changed.was, "now": changed.now}


def _reproduction_lines(result: Reproduction) -> Iterator[str]:
    comparison = result.comparison
    yield comparison.verdict
    found = comparison.first_difference
    if found:
        where = f" at step {found.step}" if found.step is not None else ""
        yield f"first difference: {found.part}{where}: {found.meaning}"
        yield f"  was {shown(str(found.was))}, now {shown(str(found.now))}"
    for changed in comparison.inputs:
        was, now = shown(_brief(changed.was)), shown(_brief(changed.now))
        yield f"input that differs: {shown(changed.name)}: was {was}, now {now}"
    yield f"{comparison.steps:,} steps compared; recorded as run {result.again.id}."


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
