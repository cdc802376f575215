"""bench: what does a Docker network mode cost an HTTP service, on this machine, with evidence."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.results import Run, load, map_runs

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load", "map_runs"]


def __getattr__(name: str) -> Any:
    # On first use: pandas takes half a second to import, which `bench --help` need not pay.
    if name in ("Run", "load", "map_runs"):
        from bench import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
