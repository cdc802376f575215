"""Models as a table of pandas, a row each."""

from collections.abc import Sequence

import pandas as pd
from pydantic import BaseModel

INTERVALS = ("ci95", "ci90", "difference_ci95", "bootstrap_ci95")


def tabulate(kind: type[BaseModel], found: Sequence[BaseModel]) -> pd.DataFrame:
    """A row a model, with all of the columns of its kind even where there is no row."""
    columns = [name for name in kind.model_fields if name not in INTERVALS]
    intervals = [name for name in INTERVALS if name in kind.model_fields]
    rows = []
    for model in found:
        row = model.model_dump(mode="json")
        for name in intervals:
            row[f"{name}_low"], row[f"{name}_high"] = row.pop(name) or (None, None)
        rows.append(row)
    return pd.DataFrame(
        rows, columns=columns + [f"{name}_{end}" for name in intervals for end in ("low", "high")]
    )
