"""A run goes on with the images that it began with: the service's own, and those of its companions."""

import pytest

from bench.errors import EnvironmentLacks
from bench.lab.servers.image import Image
from bench.measure.bed_description import require_same_images
from bench.measure.provision import Images

from .conftest import make_run
from .services import make_own

BEGUN = make_run(make_own(), image={"id": "sha256:1"}, companion_images={"db": {"id": "sha256:2"}})


def images(service: str = "sha256:1", database: str = "sha256:2") -> Images:
    return Images(Image(service), {"db": Image(database)})


def test_the_same_images_are_gone_on_with() -> None:
    require_same_images(BEGUN, images())


def test_a_run_that_had_no_image_yet_takes_any() -> None:
    require_same_images(make_run(make_own(), image={}, companion_images={}), images())


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (images(service="sha256:9"), "ran the image sha256:1, and this machine now has sha256:9"),
        (images(database="sha256:9"), "with its companion db: .*sha256:2, and this machine now has sha256:9"),
    ],
)
def test_another_image_is_refused_by_whose_it_is(now: Images, said: str) -> None:
    with pytest.raises(EnvironmentLacks, match=said):
        require_same_images(BEGUN, now)
