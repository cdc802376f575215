#!/bin/sh
# Begins bench in its own image.
case "$(tr '\0' ' ' </proc/1/cmdline)" in
    *"-- bench run"* | *"-- bench resume"* | *"-- bench capacity"* | *"-- bench calibrate"*)
        echo "This container sees no processes but its own: whether others were busy beside a run, the gate" \
            "'quiet cores' cannot tell. \`docker run --pid host\` shows it the machine's." >&2 ;;
esac

# An engine inside makes control groups beside bench's processes: the kernel asks for different things first.
groups=/sys/fs/cgroup
if [ ! -e $groups/cgroup.controllers ]; then
    # Version 1: they are named from the machine's root, but mounted from the container's. Without the right
    # to change that, bench says what is missing.
    ! unshare --cgroup true 2>/dev/null || exec unshare --cgroup python3 -m bench "$@"
elif [ "$(cat /proc/self/cgroup)" = 0::/ ] && mkdir -p $groups/init 2>/dev/null; then
    # Version 2, in a namespace of the container's own: a group with processes may give its controllers to
    # none, so they move into one beside. Not where `/` is the machine's, which has others' processes too.
    while read -r pid; do echo "$pid" >$groups/init/cgroup.procs; done <$groups/cgroup.procs 2>/dev/null
    for controller in $(cat $groups/cgroup.controllers); do
        echo "+$controller" >$groups/cgroup.subtree_control
    done 2>/dev/null
fi
exec python3 -m bench "$@"
