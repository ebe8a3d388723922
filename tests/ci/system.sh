# shellcheck shell=bash
# System tests: whole programs against real Redis servers.

SYSTEMD_TESTS=(tests/systemd/test_*.py)

# run_system_tests BUILD [PYTEST ARGUMENT]...
run_system_tests() {
    local binary
    binary=$(readlink -f "$BUILD/$1/leaderwrap") || return
    shift
    LEADERWRAP=$binary contained tests/ci/system_tests.py "$COUNTS" "$JOBS" "$@"
}

system_tests() {
    step "system tests, sanitize build" run_system_tests sanitize "${PYTEST_ARGUMENTS[@]}"
}

smoke_tests() {
    step "system tests, $1 build, smoke" run_system_tests "$1" -m smoke
}

# The same against Valkey, where it is installed.
smoke_tests_valkey() {
    REDIS_SERVER=valkey-server step "system tests, $1 build, smoke, Valkey" \
        run_system_tests "$1" -m smoke
}

# One whole election with leaderwrap under valgrind.
valgrind_election() {
    LEADERWRAP_VALGRIND=1 step "one election under valgrind" \
        run_system_tests plain -m valgrind
}

# The units of examples/systemd, on machines with a systemd of their own. On the plain build: what
# sanitizers need is not what the hardening allows.
systemd_units() {
    step "the units of examples/systemd, a real systemd" run_system_tests plain "${SYSTEMD_TESTS[@]}"
}
