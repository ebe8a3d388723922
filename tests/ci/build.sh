# shellcheck shell=bash
# Builds, each in a directory of its own under $BUILD, and the unit tests in them.

# build_with NAME [MESON OPTION]...: configures unless that was done before, and builds.
build_with() {
    local directory=$BUILD/$1
    shift
    if [ ! -f "$directory/build.ninja" ]; then
        rm -rf "$directory"
        timeout 300 meson setup --werror "$@" "$directory" . || return
    fi
    # Lines of progress are of no interest once something has failed.
    timeout 1200 ninja -C "$directory" -k 0 >"$SCRATCH/build" 2>&1 || {
        grep -Ev '^\[[0-9]+/[0-9]+\] (Compiling|Linking|Generating)' "$SCRATCH/build"
        return 1
    }
}

build_plain() {
    CC=gcc step "build with gcc" build_with plain
}

build_sanitize() {
    CC=gcc step "build with gcc, address and undefined sanitizers" \
        build_with sanitize -Db_sanitize=address,undefined
}

build_clang() {
    CC=clang step "build with clang" build_with clang
}

build_tag() {
    local tag=$1 source=$BUILD/releases/$1
    if [ ! -d "$source" ]; then
        mkdir -p "$source.new" && git archive "$tag" | tar -x -C "$source.new" &&
            mv "$source.new" "$source" || return
    fi
    [ -f "$source/build/build.ninja" ] ||
        timeout 300 meson setup "$source/build" "$source" || return
    timeout 1200 ninja -C "$source/build" leaderwrap
}

# The release before, if there was one: tests/system/test_stable.py lets it share a lease with this
# one.
build_release_before() {
    local tag
    tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' HEAD^ 2>/dev/null) || return 0
    step "build of $tag, to share a lease with" build_tag "$tag" || return
    LEADERWRAP_OTHER=$(readlink -f "$BUILD/releases/$tag/build/leaderwrap")
    export LEADERWRAP_OTHER
}

# The program alone: it has to do without OpenSSL and http-parser, and to say so.
check_without_tls() {
    local directory=$BUILD/without-tls said
    [ -f "$directory/build.ninja" ] ||
        timeout 300 meson setup --werror -Dtls=disabled -Dhttp=disabled "$directory" . || return
    timeout 1200 ninja -C "$directory" leaderwrap || return
    said=$("$directory/leaderwrap" --redis rediss://127.0.0.1 --key k -- true 2>&1)
    echo "status $?: $said" | tee "$SCRATCH/said"
    grep -q '^status 64: .* asks for TLS (rediss://), which this build does not have$' "$SCRATCH/said" ||
        return
    said=$("$directory/leaderwrap" --http 127.0.0.1:8008 --key k -- true 2>&1)
    echo "status $?: $said" | tee "$SCRATCH/said"
    grep -q 'error: --http needs .*/leaderwrap-http.so, which is not there$' "$SCRATCH/said"
}

build_without_tls() {
    step "build without TLS" check_without_tls
}

# unit_tests NAME: the unit tests of that build.
run_unit_tests() {
    rm -f "$BUILD/$1/meson-logs/testlog.json"
    contained timeout 1200 meson test -C "$BUILD/$1" --suite unit --suite sim \
        --no-rebuild --timeout-multiplier 3 || true
    "$PYTHON" tests/ci/unit_counts.py "$BUILD/$1/meson-logs/testlog.json" "$COUNTS"
}

unit_tests() {
    step "unit tests, $1 build" run_unit_tests "$1"
}
