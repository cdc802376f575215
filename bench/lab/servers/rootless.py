"""A rootless engine: dockerd as an unprivileged user of a lab's host, in namespaces that RootlessKit makes.

The user is one of the host's, whose /etc is its own: the machine has none of that name. RootlessKit's
network is what Docker takes for the host's: docker0, its rules and `--network host` are there.
"""

from bench.errors import EnvironmentLacks
from bench.lab.hosts import command
from bench.lab.hosts.host import Host
from bench.lab.hosts.packages import how_to_install
from bench.lab.servers.engine_root import EngineRoot
from bench.scenario.modes.addresses import ROOTLESS_NETWORK
from bench.scenario.modes.model import TAP, Rootless

PACKAGES = {
    "rootlesskit": "rootlesskit",
    "slirp4netns": "slirp4netns",
    "pasta": "passt",
    "newuidmap": "uidmap",
}
"""Program -> Debian's package of it."""
USER = (
    "the user bench-rootless in its own /etc, with subordinate ids; nodes of /dev/net/tun and /dev/fuse for"
    " it; net.ipv4.ip_unprivileged_port_start = 0"
)
"""What is changed on a host for its rootless engine."""
DEVICE = "/dev/net/tun"
MTU = 65520
"""Of the tap device, as Docker's own dockerd-rootless.sh has it for slirp4netns and pasta."""
ENTER = """
set -e
shared=$1; shift
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
user=bench-rootless id=65520 first=2000000000
if ! grep -q "^$user:" /etc/passwd; then
  echo "$user:x:$id:$id::/nonexistent:/bin/sh" >> /etc/passwd
  echo "$user:x:$id:" >> /etc/group
  for file in /etc/subuid /etc/subgid; do echo "$user:$first:65536" >> $file; done
fi
own=$shared/data/rootless
mkdir -p $own/run $own/home
chown -R $id:$id $own
chmod a+rx $shared; chmod a+r $shared/daemon.json
hidden= path=$shared
while [ $path != / ]; do
  path=$(dirname $path)
  case $(stat -c %A $path) in *[xt]) ;; *) hidden=$path ;; esac
done
if [ -n "$hidden" ]; then
  mkdir -p /run/shared
  mount --rbind $shared /run/shared
  mount -t tmpfs -o mode=755 rootless $hidden
  mkdir -p $shared
  mount --rbind /run/shared $shared
  umount -l /run/shared
fi
mkdir -p /run/devices
for device in net/tun fuse; do
  if [ -e /dev/$device ]; then
    node=/run/devices/$(basename $device)
    [ -e $node ] || mknod -m 666 $node c $(stat -c '%Hr %Lr' /dev/$device)
    mount --bind $node /dev/$device
  fi
done
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
cd $own
export HOME=$own/home XDG_RUNTIME_DIR=$own/run
exec setpriv --reuid $id --regid $id --clear-groups "$@"
"""
"""Shell script: `shared argv...`, as root in a mount namespace of its own; `argv` is then the user's.

The user and its ids are such as systemd's table of ids gives to nobody. What of the way to `shared` is closed
to others is hidden behind an empty folder; where devices are root's alone, the user has nodes of its own.
A user may listen on low ports, as Docker's documentation has an administrator allow it.
"""
INSIDE = 'rm -f /run/docker /run/containerd /run/xtables.lock; exec "$@"'
"""Shell script, as dockerd-rootless.sh has it: /run is a copy of links to the host's, of which these are not
the user's.
"""


def own_folder(scratch: str) -> str:
    """The user's folder on a host whose folder is `scratch`; in memory, as the data of every engine."""
    return f"{scratch}/data/rootless"


def rootless_argv(scratch: str, rootless: Rootless, dockerd: list[str]) -> list[str]:
    """Command line of the user's, by which RootlessKit runs `dockerd` as the root of its namespaces."""
    own = own_folder(scratch)
    kit = [
        "rootlesskit",
        *("--net", rootless.network, "--port-driver", rootless.ports),
        *("--cidr", ROOTLESS_NETWORK, "--ifname", TAP, "--mtu", str(MTU), "--disable-host-loopback"),
        *("--slirp4netns-sandbox", "auto", "--slirp4netns-seccomp", "auto"),
        *("--copy-up", "/etc", "--copy-up", "/run", "--state-dir", f"{own}/run/rootlesskit"),
    ]
    return [*kit, "sh", "-c", INSIDE, "rootless", *dockerd]


def as_user(scratch: str, argv: list[str]) -> list[str]:
    """`argv` as root starts it, that becomes the user first."""
    return ["unshare", "--mount", "sh", "-c", ENTER, "rootless", scratch, *argv]


def require_rootless(host: Host, rootless: Rootless, root: EngineRoot | None) -> str:
    """Versions of RootlessKit and its network driver; `root`: where they are; None: on the host.

    Raises EnvironmentLacks, with the package or version that lacks, unless `rootless` can be had.
    """
    doing = f"Starting a rootless Docker Engine on {host.name}"
    enter = ["chroot", str(root.path)] if root else []
    programs = ["rootlesskit", rootless.network, "newuidmap"]
    absent = [name for name in programs if _ask(host, [*enter, "sh", "-c", f"command -v {name}"]) is None]
    if absent:
        packages = how_to_install([PACKAGES[name] for name in absent])
        raise EnvironmentLacks(doing, f"{' and '.join(absent)}: not found ({packages})", f"{packages}.")
    told = _ask(host, [*enter, "rootlesskit", "--help"]) or ""
    lacking = [driver for driver in (rootless.network, rootless.ports) if driver not in told]
    versions = [_ask(host, [*enter, name, "--version"]) or name for name in programs[:2]]
    version, stack = (said.strip().partition("\n")[0] for said in versions)
    if lacking:
        raise EnvironmentLacks(
            doing,
            f'{version} has no driver {" and none ".join(lacking)}; that of lab.engine = "debian:trixie" has',
            "Name an engine whose Debian has a later one.",
        )
    if not host.has(DEVICE):
        raise EnvironmentLacks(doing, f"this kernel has no {DEVICE}", "Load its module `tun`.")
    return f"{version}, {stack}"


def _ask(host: Host, argv: list[str]) -> str | None:
    """What a program says; None where it fails or is not there."""
    try:
        return host.run(argv)
    except command.CommandFailed:
        return None
