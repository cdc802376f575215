"""The image's base is made with what its suite needs, and named by it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.lab.servers import image


def test_the_base_of_a_testing_suite_is_made_from_a_mirror_that_stands_still_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []

    def archive_of_nothing(doing: str, options: Sequence[str], archive: Path) -> str:
        asked.append(options)
        return "0123"

    monkeypatch.setattr(image, "CACHE", tmp_path)
    monkeypatch.setattr(image, "make_archive", archive_of_nothing)
    image._provide_base("forky")
    image._provide_base("bookworm")
    assert [any("Check-Valid-Until" in option for option in options) for options in asked] == [True, False]
