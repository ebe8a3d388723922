# shellcheck shell=bash
# Which lines and branches of src/ the unit, simulation and system tests reach.

configure_coverage() {
    local flush=$BUILD/coverage-flush.o
    mkdir -p "$BUILD"
    gcc -c tests/ci/flush.c -o "$flush" || return
    build_with coverage -Db_coverage=true --buildtype=debug \
        "-Dc_link_args=['-Wl,--wrap=_exit','$(readlink -f "$flush")','-lgcov']" || return
    # Counts of earlier runs; and programs that tests run as somebody else write theirs, too.
    find "$BUILD/coverage" -name '*.gcda' -delete
    chmod -R a+rwX "$BUILD/coverage"
}

build_coverage() {
    step "build with gcc, counting" configure_coverage
}

run_coverage() {
    local json=$BUILD/coverage.json
    gcovr --root . --filter src/ --object-directory "$BUILD/coverage" "$BUILD/coverage" \
        --exclude-unreachable-branches --exclude-throw-branches \
        --json "$json" --txt "$BUILD/coverage.txt" --print-summary || return
    "$PYTHON" tests/ci/uncovered.py "$json" tests/ci/uncovered.txt
}

coverage_tests() {
    umask 000
    unit_tests coverage
    step "system tests, coverage build" run_system_tests coverage
    # The figures are what this was for; a step that fails shows its output itself.
    step "a reason for each line that no test reaches" run_coverage && cat "$SCRATCH/output"
    cat "$BUILD/coverage.txt"
}
