# shellcheck shell=bash
# The proofs, each with a folder tests/AREA and a `run` of its own there, whose last line is
# "AREA: N passed, N failed" (", N skipped" may follow).

# run_proof AREA [ARGUMENT]...: takes the counts from that line, and keeps the output for people.
run_proof() {
    local area=$1
    mkdir -p "$BUILD"
    shift
    LEADERWRAP_BUILD=$BUILD contained "tests/$area/run" "$@" | tee "$BUILD/$area.txt"
    take_counts "$area: " "$BUILD/$area.txt"
}

simulation() {
    step "simulation, 1,000,000 schedules and the mutants" run_proof sim 1000000
}

model() {
    step "model checking, exhaustively" run_proof model
}

# Each target for a while, four at a time.
fuzzers() {
    step "fuzzing, 40 s for each target" run_proof fuzz --seconds 40 --jobs 4
}

# torture BUILD SECONDS [MODE]
torture() {
    local mode=${3:-single}
    step "torture, $mode, $2 s, $1 build" run_proof torture --mode "$mode" --seconds "$2" \
        --binary "$(readlink -f "$BUILD/$1/leaderwrap")"
}

# In each mode, with the build of that name.
tortures() {
    torture "$1" 50
    torture "$1" 35 sentinel
    torture "$1" 35 cluster
}

# The lab in docker/, on an engine of its own where none runs.
docker_lab() {
    step "the lab, on a Docker engine" run_proof docker
}

# Debian packages and the RPM: built, installed, used, upgraded, removed.
packaging() {
    step "Debian packages and an RPM" run_proof packaging
}

differential() {
    step "differential test, ${REDIS_SERVER:-redis-server}" run_proof differential "$@"
}

differential_valkey() {
    REDIS_SERVER=valkey-server differential "$@"
}
