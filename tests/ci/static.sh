# shellcheck shell=bash
# Checks that read the sources and run nothing. Each tool counts as one test.

# The files of the project whose names match the find(1) expression "$@", NUL-separated.
own_files() {
    find . \( -name .git -o -path './build*' -o -name '.cache' \) -prune -o -type f \( "$@" \) -print0
}

check_format() {
    own_files -name '*.c' -o -name '*.h' | xargs -0 -r clang-format --dry-run -Werror
}

# The checks see each source through the compile command of the build with clang. One source per
# process: with several the analyzer of clang 14 mixes up their va_lists.
check_tidy() {
    "$PYTHON" tests/ci/compiled_sources.py "$BUILD/clang" |
        xargs -0 -r -P "$CORES" -n 1 timeout 600 clang-tidy --quiet -p "$BUILD/clang"
}

check_cppcheck() {
    mkdir -p "$BUILD/cppcheck"
    timeout 600 cppcheck --project="$BUILD/clang/compile_commands.json" -j "$CORES" --quiet \
        --cppcheck-build-dir="$BUILD/cppcheck" --enable=warning,performance,portability \
        --inline-suppr --suppressions-list=tests/ci/cppcheck-suppressions --error-exitcode=1
}

# Shell scripts are known by their first line, or by the directive that names the shell.
check_shell() {
    own_files ! -name '*.[chod]' | xargs -0 awk '
        FNR == 1 && /^#!\/(usr\/)?bin\/(env )?(ba|da)?sh( |$)|^# shellcheck shell=/ {
            printf "%s%c", FILENAME, 0
        }
        { nextfile }' | xargs -0 -r shellcheck --external-sources
}

# Python, too, is known by its first line where its name does not tell.
python_files() {
    own_files -name '*.py'
    own_files ! -name '*.*' | xargs -0 awk '
        FNR == 1 && /^#!.*python/ { printf "%s%c", FILENAME, 0 }
        { nextfile }'
}

check_python() {
    python_files | xargs -0 pyflakes3 && python_files | xargs -0 black --check --quiet
}

# Who may include whom; and the same sources with one arrow that runs up, so that the check can fail.
check_arrows() {
    local copy
    "$PYTHON" tests/ci/arrows.py || return 1
    copy=$(mktemp -d) && cp -r --parents src include tests/unit "$copy" || return 1
    sed -i '1i #include "leaderwrap/redis/store.h"' "$copy/src/election/term.c"
    if "$PYTHON" tests/ci/arrows.py "$copy" >"$copy/faults"; then
        echo "an include of redis by the election was not found"
        return 1
    fi
    rm -rf "$copy"
}

# Where the links of the documents lead; and the same with two that lead nowhere and a file that
# nobody links to, so that the check can fail.
check_links() {
    local copy
    "$PYTHON" tests/ci/links.py || return 1
    copy=$(mktemp -d) || return 1
    printf '# Top\n[a](b.md#no) [b](c.md)\n' >"$copy/README.md" && echo "# B" >"$copy/b.md" || return 1
    echo "# Alone" >"$copy/d.md" || return 1
    if "$PYTHON" tests/ci/links.py "$copy" >"$copy/faults" || [ "$(wc -l <"$copy/faults")" -ne 3 ]; then
        echo "three faults were not found:" && cat "$copy/faults"
        return 1
    fi
    rm -rf "$copy"
}

# Checks of the text alone.
text_checks() {
    step "clang-format" check_format
    step "shellcheck" check_shell
    step "black and pyflakes" check_python
    step "who includes whom" check_arrows
    step "links of the documents" check_links
}

# Checks that need to know how the sources are compiled.
code_checks() {
    step "clang-tidy" check_tidy
    step "cppcheck" check_cppcheck
}
