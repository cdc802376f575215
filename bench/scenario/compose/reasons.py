"""Keys of a service that say nothing to a scenario, with the reason of each."""

from collections.abc import Mapping

_NETWORK = "the scenario's arms say how it is joined to the network"
_NAME = "it is reached by its service's name"
_CORES = "a container has its host's cores, in every arm the same"
_FRESH = "a container is fresh, and lives for one measurement"
_PEOPLE = "it is for tools and people, and changes nothing that is measured"
_RIGHTS = "a scenario gives no such right; if it needs one, cap_add may be enough"
_IMAGE = "a scenario cannot set it; if it matters, put it into the image"
_FILES = "a scenario mounts files of its folder; name the file under volumes, with :ro"
_LIMITS = "a scenario limits memory_mb and open_files only"
_DEVICES = "a lab has no devices to give"

TAKEN = frozenset(
    {
        "image", "build", "command", "entrypoint", "environment", "env_file", "ports", "expose", "volumes",
        "user", "working_dir", "mem_limit", "deploy", "ulimits", "cap_add", "cap_drop", "read_only", "tmpfs",
        "shm_size", "healthcheck", "depends_on", "links",
    }
)  # fmt: skip
"""Keys that are read, each where it is read saying what of it is left out."""

LEFT_OUT: Mapping[str, str] = {
    "annotations": _PEOPLE,
    "attach": _PEOPLE,
    "blkio_config": _LIMITS,
    "cgroup": _RIGHTS,
    "cgroup_parent": "the lab has control groups of its own",
    "configs": _FILES,
    "container_name": _NAME,
    "cpu_count": _CORES,
    "cpu_percent": _CORES,
    "cpu_period": _CORES,
    "cpu_quota": _CORES,
    "cpu_rt_period": _CORES,
    "cpu_rt_runtime": _CORES,
    "cpu_shares": _CORES,
    "cpus": _CORES,
    "cpuset": _CORES,
    "credential_spec": _FILES,
    "develop": _PEOPLE,
    "device_cgroup_rules": _DEVICES,
    "devices": _DEVICES,
    "dns": "a lab has no way out, and no name server",
    "dns_opt": "a lab has no way out, and no name server",
    "dns_search": "a lab has no way out, and no name server",
    "domainname": _NAME,
    "external_links": "what is outside of the file is not there",
    "extra_hosts": "a lab has no way out; a companion is reached by its name",
    "gpus": _DEVICES,
    "group_add": _RIGHTS,
    "hostname": _NAME,
    "init": _IMAGE,
    "ipc": _RIGHTS,
    "isolation": _IMAGE,
    "label_file": _PEOPLE,
    "labels": _PEOPLE,
    "logging": "the lab's engine keeps its log, as Docker does by default",
    "mac_address": _NETWORK,
    "mem_reservation": _LIMITS,
    "mem_swappiness": _LIMITS,
    "memswap_limit": _LIMITS,
    "models": "what is outside of the file is not there",
    "network_mode": _NETWORK,
    "networks": f"{_NETWORK}, and {_NAME} alone",
    "oom_kill_disable": _LIMITS,
    "oom_score_adj": _LIMITS,
    "pid": _RIGHTS,
    "pids_limit": _LIMITS,
    "platform": "the image is taken as your own Docker has it, and must be this machine's",
    "post_start": _FRESH,
    "pre_stop": _FRESH,
    "privileged": _RIGHTS,
    "profiles": "it is measured, or needed, whatever the profile",
    "provider": "what is outside of the file is not there",
    "pull_policy": "bench pulls nothing: the image is taken as your own Docker has it",
    "restart": f"{_FRESH}; one that ends is a fault",
    "runtime": "the lab's engine has Docker's own",
    "scale": "one container is measured",
    "secrets": _FILES,
    "security_opt": _RIGHTS,
    "stdin_open": _PEOPLE,
    "stop_grace_period": _FRESH,
    "stop_signal": _FRESH,
    "storage_opt": _LIMITS,
    "sysctls": "the kernel's settings are those of the lab, in every arm the same",
    "tty": _PEOPLE,
    "userns_mode": _RIGHTS,
    "uts": _RIGHTS,
    "volumes_from": f"{_FRESH}: it has its image's data only",
}
