"""How the packages that a run needs are installed on this machine's distribution."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Distribution:
    """A family of distributions, by what differs from Debian."""

    install: str
    names: Mapping[str, str]
    """Debian's name -> this one's. Empty where it may have no package."""


DISTRIBUTIONS = {
    "debian": Distribution("apt-get install", {}),
    "fedora": Distribution(
        "dnf install",
        {
            "docker.io": "moby-engine",
            "dnsmasq-base": "dnsmasq",
            "iproute2": "iproute iproute-tc",
            "iptables": "iptables-nft",
            "mount": "util-linux",
            "rootlesskit": "",
            "uidmap": "shadow-utils",
            "wrk": "",
        },
    ),
    "arch": Distribution(
        "pacman -S",
        {
            "docker.io": "docker",
            "dnsmasq-base": "dnsmasq",
            "mount": "util-linux",
            "mmdebstrap": "",
            "tini": "",
            "uidmap": "shadow",
            "wrk": "",
        },
    ),
    "suse": Distribution(
        "zypper install",
        {
            "docker.io": "docker",
            "dnsmasq-base": "dnsmasq",
            "mount": "util-linux",
            "mmdebstrap": "",
            "tini": "",
            "uidmap": "shadow",
        },
    ),
}
"""By what /etc/os-release says that a distribution is, or is like. Runs are tried on Debian's alone."""


def how_to_install(packages: Iterable[str]) -> str:
    """What a person types for `packages`, which are named as Debian names them."""
    wanted = list(dict.fromkeys(packages))
    here = _distribution()
    if here is None:
        return f"install what Debian calls {' '.join(wanted)}"
    names = " ".join(dict.fromkeys(name for each in wanted if (name := here.names.get(each, each))))
    sources = ", ".join(each for each in wanted if not here.names.get(each, each))
    steps = [f"{here.install} {names}"] if names else []
    return ", and ".join(steps + ([f"from source, where it has no package: {sources}"] if sources else []))


def is_debian() -> bool:
    """Whether it is Debian itself, not one that is like it."""
    return _release()["ID"] == "debian"


def _distribution() -> Distribution | None:
    release = _release()
    like = [release["ID"], *release.get("ID_LIKE", "").split()]
    return next((DISTRIBUTIONS[each] for each in like if each in DISTRIBUTIONS), None)


def _release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {"ID": "linux"}  # What the file's manual says is so where it does not tell.
