# shellcheck shell=bash
# Running steps and counting what they came to: one line per step, the output only of what failed.

passed=0
failed=0
skipped=0
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

# tally PASSED FAILED SKIPPED: adds to the totals.
tally() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
}

# Runs "$@" with its output in $SCRATCH/output, showing heading $1 and the seconds it took. A step
# that counts for itself leaves "PASSED FAILED SKIPPED" in the file $COUNTS, and one that cannot run
# here leaves the reason in $SKIP; any other counts as one. Returns the command's status.
step() {
    local heading=$1 started=$SECONDS status=0 word=ok numbers
    shift
    COUNTS=$SCRATCH/counts
    SKIP=$SCRATCH/skip
    rm -f "$COUNTS" "$SKIP"
    printf '%-52s' "$heading"
    "$@" >"$SCRATCH/output" 2>&1 </dev/null || status=$?
    if [ -s "$SKIP" ]; then
        numbers="0 0 1"
        word="skipped: $(<"$SKIP")"
        status=0
    elif [ -s "$COUNTS" ]; then
        numbers=$(<"$COUNTS")
    elif [ $status -eq 0 ]; then
        numbers="1 0 0"
    else
        numbers="0 1 0"
    fi
    # shellcheck disable=SC2086 # three numbers
    set -- $numbers
    # A step that broke after it had counted only successes is a failure all the same.
    [ $status -eq 0 ] || [ "$2" -gt 0 ] || set -- "$1" 1 "$3"
    tally "$@"
    [ "$2" -eq 0 ] || word=FAILED
    [ "$1 $2 $3" = "1 0 0" ] || [ -s "$SKIP" ] || word+=" ($1 passed, $2 failed, $3 skipped)"
    printf '%5d s  %s\n' $((SECONDS - started)) "$word"
    [ "$2" -eq 0 ] || cat "$SCRATCH/output"
    return $status
}

# take_counts PREFIX FILE: what the step came to, from the last line of FILE, which is PREFIX and
# "N passed, N failed" (", N skipped" may follow). Fails where it is not.
take_counts() {
    local line
    line=$(tail -n 1 "$2")
    [[ $line =~ ^"$1"([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]] || return
    echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${BASH_REMATCH[4]:-0}" >"$COUNTS"
}

# Runs "$@", where possible in a process namespace of its own: whatever a broken program leaves
# behind ends with it. The shell in between reaps what comes back to it.
contained() {
    local namespace=(unshare --pid --fork --kill-child --mount-proc)
    if [ "$(id -u)" -eq 0 ] && "${namespace[@]}" true 2>/dev/null; then
        # shellcheck disable=SC2016 # expanded by the shell that runs it
        "${namespace[@]}" bash -c '"$@"; exit $?' bash "$@"
    else
        "$@"
    fi
}

# Says that something cannot be done because of `$2`.
blocked() {
    printf '%-52s%5d s  FAILED: %s\n' "$1" 0 "$2"
    tally 0 1 0
}

# The closing line, and the verdict as exit status.
conclude() {
    local line="$passed passed, $failed failed"
    [ $skipped -eq 0 ] || line+=", $skipped skipped"
    echo "$line"
    [ $failed -eq 0 ] && [ $passed -gt 0 ]
}
