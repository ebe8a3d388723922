"""Completion in real shells: what each of them proposes at the end of a line.

Beside leaderwrap and leaderctl they know a command `probe` with the options --vivid and --vague, so
that a test can tell whether what stands behind leaderwrap is completed as a command line of its own.
"""

import os
import pty
import re
import subprocess

BASH = """
. /usr/share/bash-completion/bash_completion
. "$1"; . "$2"
complete -W "--vivid --vague" probe
COMP_LINE=$3 COMP_POINT=${#3}
shift 3
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9 COMP_KEY=9
_"$1" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

# Each match goes to a file; the line is there before the first key would be read.
ZSH = """
fpath=("$TEXTS" $fpath)
autoload -Uz compinit && compinit -D -u
_probe() { compadd -- --vivid --vague }
compdef _probe probe
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
        local -a matches
        builtin compadd -A matches "$@"
        print -rl -- $matches >>"$FOUND"
    fi
    builtin compadd "$@"
}
zle-line-init() {
    BUFFER=$LINE CURSOR=$#LINE
    zle complete-word
    exit 0
}
zle -N zle-line-init
"""


def as_readline_splits(line):
    """The words as bash hands them to a completion: = and : are words, too."""
    words = re.findall(r"[=:]+|[^\s=:]+", line)
    return words + [""] if line.endswith((" ", "=", ":")) else words


def bash(texts, line, folder):
    command = ["bash", "--norc", "-c", BASH, "bash", texts / "leaderwrap", texts / "leaderctl"]
    done = subprocess.run(
        [*command, line, *as_readline_splits(line)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=True,
    )
    return {word.strip() for word in done.stdout.splitlines()} - {""}


def fish(texts, line, folder):
    script = "complete -c probe -f -l vivid; complete -c probe -l vague; complete -C $argv[3]"
    sources = "source $argv[1]; source $argv[2]; "
    files = [texts / "leaderwrap.fish", texts / "leaderctl.fish"]
    done = subprocess.run(
        ["fish", "--no-config", "-c", sources + script, "--", *files, line],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return {word.split("\t")[0] for word in done.stdout.splitlines()}


def zsh(texts, line, folder):
    found = folder / "found"
    found.write_text("", encoding="utf-8")
    (folder / ".zshrc").write_text(ZSH, encoding="utf-8")
    env = {"PATH": os.environ["PATH"], "TERM": "dumb", "ZDOTDIR": str(folder), "LINE": line}
    master, terminal = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-d", "-i"],
        cwd=folder,
        env={**env, "TEXTS": str(texts), "FOUND": str(found), "HOME": str(folder)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        # The terminal is gone when the shell is.
        while os.read(master, 65536):
            pass
    except OSError:
        pass
    finally:
        os.close(master)
    assert shell.wait(60) == 0
    return set(found.read_text(encoding="utf-8").split())


SHELLS = {"bash": bash, "fish": fish, "zsh": zsh}
