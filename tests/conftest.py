"""Tests in an order that nobody has chosen: none may lean on what another did before it."""

import random
import secrets
from typing import Any

import pytest


def draw_seed(asked: str) -> int:
    """The seed that was asked for; of `new`, one that nobody had before."""
    return secrets.randbits(16) if asked == "new" else int(asked)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle",
        type=draw_seed,
        metavar="SEED",
        help="run files, and the tests of each, in an order that is drawn from SEED, a number or `new`",
    )


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {})  # A worker of xdist has read the command line once more.
    config.option.shuffle = given.get("shuffle", config.option.shuffle)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["shuffle"] = node.config.option.shuffle


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.option.shuffle
    return None if seed is None else f"in the order of --shuffle={seed}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.option.shuffle
    if seed is not None:
        # A draw a folder, a file and a test, of their names: the same whatever else is collected.
        def draw(name: object) -> float:
            return random.Random(f"{seed} {name}").random()

        items.sort(key=lambda item: (draw(item.path.parent), draw(item.path), draw(item.nodeid)))
