# shellcheck shell=bash
# Build and tests once more in Debian 13, whose hiredis, libuv, compiler and Redis are newer: in a
# chroot that is made once and kept outside the checkout.

# The caller's cache, or the system's.
debian13_cache=${XDG_CACHE_HOME:-/var/cache}/leaderwrap
debian13_root=$debian13_cache/trixie

# The mirror this machine's apt uses for Debian itself; nothing where that is not known, and
# debootstrap has its own.
debian13_mirror() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)' \
        'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 !~ /-/ && $3 == "main" && $4 ~ /^https?:/ { print $4; exit }'
}

# Why a Debian 13 cannot be made here; nothing if it can.
debian13_obstacle() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "needs root"
    elif ! PATH=$PATH:/usr/sbin command -v debootstrap >/dev/null; then
        echo "needs debootstrap"
    elif ! unshare --mount --pid --fork true 2>/dev/null; then
        echo "this machine allows no new mount namespace"
    fi
}

# Makes the root file system, unless there is one; a half-made one is never taken for whole.
debian13_make() {
    local mirror
    [ ! -d "$debian13_root" ] || return 0
    mirror=$(debian13_mirror)
    rm -rf "$debian13_root.new"
    mkdir -p "$debian13_cache"
    http_proxy=$(apt-config shell proxy Acquire::http::Proxy | sed "s/^proxy='\(.*\)'$/\1/") \
        timeout 900 debootstrap --variant=minbase trixie "$debian13_root.new" ${mirror:+"$mirror"} \
        >"$SCRATCH/debootstrap" 2>&1 || return
    apt-config dump | grep -E '^Acquire::(Check-|Retries|https?::Proxy)' \
        >"$debian13_root.new/etc/apt/apt.conf.d/99host"
    printf '#!/bin/sh\nexit 101\n' >"$debian13_root.new/usr/sbin/policy-rc.d"
    chmod 755 "$debian13_root.new/usr/sbin/policy-rc.d"
    mv "$debian13_root.new" "$debian13_root"
}

# Runs in namespaces of its own, so that no mount and no process outlives it. The checkout is
# read-only in there.
# shellcheck disable=SC2016 # expanded by the shell that runs it
debian13_inside='
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/tmp/leaderwrap"
mount --bind . "$root/tmp/leaderwrap"
mount -o remount,bind,ro "$root/tmp/leaderwrap"
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    LEADERWRAP_BUILD=/tmp/build PYTHONDONTWRITEBYTECODE=1 \
    /tmp/leaderwrap/tests/run --only smoke'

# Makes it, or prints why it cannot be had.
debian13_need() {
    local obstacle
    obstacle=$(debian13_obstacle)
    if [ -z "$obstacle" ] && ! debian13_make; then
        obstacle="no Debian 13 could be fetched; $(tail -n 1 "$SCRATCH/debootstrap" |
            sed 's,https\{0,1\}://[^ ]*,<mirror>,g')"
    fi
    echo "$obstacle"
}

run_debian13() {
    local obstacle
    obstacle=$(debian13_need)
    if [ -n "$obstacle" ]; then
        echo "$obstacle" >"$SKIP"
        return
    fi
    timeout --kill-after=10 1500 unshare --mount --pid --fork --kill-child \
        bash -c "$debian13_inside" bash "$debian13_root" | tee "$SCRATCH/inside"
    take_counts "" "$SCRATCH/inside"
}

# Runs "$@" while nobody else uses the root: two at once would get in each other's way.
with_debian13() {
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
        return
    fi
    mkdir -p "$debian13_cache" || return
    exec 9>"$debian13_cache/lock" && flock -w 1500 9 || return
    local status=0
    "$@" || status=$?
    exec 9>&-
    return $status
}

debian13() {
    step "build and smoke tests in Debian 13" with_debian13 run_debian13
}
