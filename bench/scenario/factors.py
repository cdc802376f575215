"""Which settings of load and lab may take several levels in one run."""

from bench.scenario.load import Load
from bench.scenario.model import FIXED, LabSettings

FACTORS = frozenset(
    f"{table}.{name}"
    for table, model in (("load", Load), ("lab", LabSettings))
    for name, field in model.model_fields.items()
    if FIXED not in field.metadata
)
"""Settings that may take several levels in one run; every block holds every level."""
