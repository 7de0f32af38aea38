#!/bin/bash
# Starts systemd as process 1 of namespaces of its own, over a copy-on-write view of this machine's root: it sees
# its programs, changes nothing of them, and has the loopback network in common with everybody.
#
#   systemd.sh FOLDER NAME SHARED
#
# FOLDER/files is laid over the root; NAME: of its control groups; what is in the folder SHARED is everybody's.
#
# Wants root, and version 1 of control groups, as on the machines that this project is tested on.
set -euo pipefail

if [ $# = 3 ]; then
  for controller in memory pids cpu cpuacct systemd; do
    group=/sys/fs/cgroup/$controller/$2
    mkdir -p "$group"
    echo $$ >"$group/cgroup.procs"
  done
  exec unshare --mount --pid --cgroup --ipc --uts --fork --kill-child bash "$0" "$1" "$3"
fi

folder=$1
shared=$2
root=$folder/root
mount --make-rprivate /
# On the disk: what lies in memory would count against the limits of services.
mkdir -p "$root" "$folder/changes/upper" "$folder/changes/work" "$folder/tmp"
chmod 1777 "$folder/tmp"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/changes/upper,workdir=$folder/changes/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
for controller in memory pids cpu cpuacct; do
  mkdir "$root/sys/fs/cgroup/$controller"
  mount -t cgroup -o "$controller" cgroup "$root/sys/fs/cgroup/$controller"
done
mkdir "$root/sys/fs/cgroup/systemd"
mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount --bind "$folder/tmp" "$root/tmp"
mount --bind "$shared" "$root$shared"
mount --rbind /dev "$root/dev"
: >"$root/etc/machine-id"
cp -r "$folder/files/." "$root/"
# Nothing but what is asked for is started.
printf '[Unit]\nDefaultDependencies=no\n' >"$root/etc/systemd/system/nothing.target"
cd "$root"
mkdir -p machine
pivot_root . machine
umount -l /machine
# Credentials are mounted by a process of systemd's own, and have to be seen by its others.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system \
  systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 \
  --log-target=console --unit=nothing.target
