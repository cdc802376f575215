import json
from pathlib import Path

import papermill
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXAMPLE = {"02-anatomy": "example-anatomy"}
"""The folder of results/ that a notebook reads, if another than example-claim."""


def code_cells(notebook: Path) -> list[dict[str, object]]:
    cells: list[dict[str, object]] = json.loads(notebook.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_output(notebook: Path) -> None:
    cells = code_cells(notebook)

    assert cells
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end_on_the_run_that_ships(notebook: Path, tmp_path: Path) -> None:
    execute(notebook, tmp_path / "done.ipynb")

    assert all(cell["execution_count"] for cell in code_cells(tmp_path / "done.ipynb"))


@pytest.mark.slow
def test_the_notebook_for_any_run_takes_the_run_as_a_parameter(tmp_path: Path) -> None:
    with pytest.raises(papermill.PapermillExecutionError, match=r"(?s)InputError.*nowhere"):
        execute(
            ROOT / "notebooks" / "03-your-own-run.ipynb",
            tmp_path / "done.ipynb",
            RUN=str(tmp_path / "nowhere"),
        )


def execute(notebook: Path, done: Path, **parameters: str) -> None:
    papermill.execute_notebook(notebook, done, parameters, cwd=notebook.parent, progress_bar=False)
