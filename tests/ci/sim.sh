# shellcheck shell=bash
# The simulation: schedules by the million, and the mutants that it must catch.

run_simulation() {
    LEADERWRAP_BUILD=$BUILD tests/sim/run "$1" | tee "$SCRATCH/simulation"
    sed -n 's/^sim: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2 0/p' "$SCRATCH/simulation" |
        tail -n 1 >"$COUNTS"
    # The table of mutants is worth reading even where everything was caught.
    sed -n '/^mutant /,/^mutants:/p' "$SCRATCH/simulation" >"$BUILD/mutants.txt"
}

simulation() {
    step "simulation, 1,000,000 schedules and the mutants" run_simulation 1000000
}
