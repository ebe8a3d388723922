# shellcheck shell=bash
# The proofs: simulation, differential test and whatever else has a folder tests/AREA with a `run` of
# its own, whose last line is "AREA: N passed, N failed" (", N skipped" may follow).

# run_proof AREA [ARGUMENT]...: takes the counts from that line, and keeps the output for people.
run_proof() {
    local area=$1 line
    mkdir -p "$BUILD"
    shift
    LEADERWRAP_BUILD=$BUILD contained "tests/$area/run" "$@" | tee "$BUILD/$area.txt"
    line=$(tail -n 1 "$BUILD/$area.txt")
    if [[ $line =~ ^$area:\ ([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${BASH_REMATCH[4]:-0}" >"$COUNTS"
        return
    fi
    return 1
}

simulation() {
    step "simulation, 1,000,000 schedules and the mutants" run_proof sim 1000000
}

differential() {
    step "differential test, ${REDIS_SERVER:-redis-server}" run_proof differential "$@"
}

differential_valkey() {
    REDIS_SERVER=valkey-server differential "$@"
}
