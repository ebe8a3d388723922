"""A completion for bash, which bash-completion loads."""

from table import flags, paths, words

HEAD = """# Completes @PROGRAM@ in bash. Made from its table of options.

# Sets cur, words and cword, in which --option=value and addresses are one word each.
_@PROGRAM@_words()
{
    if declare -F _comp_get_words >/dev/null; then
        _comp_get_words -n =: cur words cword
    else
        _get_comp_words_by_ref -n =: cur words cword
    fi
}

# Proposes the values of an option; fails where it takes none.
_@PROGRAM@_value()
{
    case $1 in
@VALUES@
    *) return 1 ;;
    esac
}
"""

# Where the cursor is at the value of an option; goes on with an elif.
AT_VALUE = """    if [[ $value ]]; then
        _@PROGRAM@_value "$value"
    elif [[ $cur == --*=* ]]; then
        value=${cur%%=*} cur=${cur#*=}
        _@PROGRAM@_value "$value"
"""

WRAPPER = """
# Completes a command and its arguments, the first of which is words[$1], as if they stood alone.
# bash-completion before 2.12 counts by COMP_WORDS, in which = and : are words, too.
_@PROGRAM@_command()
{
    local at=0 joined i
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
        return
    fi
    for ((i = 0; i < $1; i++)); do
        joined=
        while [[ $joined != "${words[i]}" ]] && ((at < ${#COMP_WORDS[@]})); do
            joined+=${COMP_WORDS[at++]}
        done
    done
    _command_offset "$at"
}

_@PROGRAM@()
{
    local cur words cword i value=""
    _@PROGRAM@_words
    COMPREPLY=()
    for ((i = 1; i < cword; i++)); do
        if [[ $value ]]; then
            value=
        elif [[ ${words[i]} == -- ]]; then
            _@PROGRAM@_command "$((i + 1))"
            return
        elif [[ ${words[i]} != -* ]]; then
            _@PROGRAM@_command "$i"
            return
        elif _@PROGRAM@_value "${words[i]}"; then
            value=${words[i]}
        fi
        COMPREPLY=()
    done
@AT_VALUE@    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "@OPTIONS@" -- "$cur")
    else
        _@PROGRAM@_command "$cword"
    fi
}
complete -F _@PROGRAM@ @PROGRAM@
"""

CONTROL = """
_@PROGRAM@()
{
    local cur words cword i value="" command="" options="@OPTIONS@"
    _@PROGRAM@_words
    COMPREPLY=()
    for ((i = 1; i < cword; i++)); do
        if [[ $value ]]; then
            value=
        elif [[ ${words[i]} != -* ]]; then
            : "${command:=${words[i]}}"
        elif _@PROGRAM@_value "${words[i]}"; then
            value=${words[i]}
        fi
        COMPREPLY=()
    done
    case $command in
@OWN@
    esac
@AT_VALUE@    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ ! $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "@COMMANDS@" -- "$cur")
    fi
}
complete -F _@PROGRAM@ @PROGRAM@
"""


def propose(option):
    """What compgen is asked for."""
    if paths(option):
        return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")'
    if option["argument"] == "CMD":
        return 'mapfile -t COMPREPLY < <(compgen -c -- "$cur")'
    if words(option):
        return 'mapfile -t COMPREPLY < <(compgen -W "%s" -- "$cur")' % " ".join(words(option))
    return "COMPREPLY=()"


def values(table):
    proposals = {}
    for option in table.options:
        if option["argument"]:
            proposals.setdefault(propose(option), []).extend(flags(option))
    return "\n".join(
        "    %s) %s ;;" % (" | ".join(names), what) for what, names in proposals.items()
    )


def own_options(table):
    """Once the command is known, its own options join those of all."""
    for command in table.commands:
        own = [flag for option in table.of_command(command["word"]) for flag in flags(option)]
        if own:
            yield '    %s) options+=" %s" ;;' % (command["word"], " ".join(own))


def render(table):
    general = [option for option in table.options if not option["commands"]]
    parts = {
        "@AT_VALUE@": AT_VALUE,
        "@VALUES@": values(table),
        "@OPTIONS@": " ".join(flag for option in general for flag in flags(option)),
        "@OWN@": "\n".join(own_options(table)),
        "@COMMANDS@": " ".join(command["word"] for command in table.commands),
        "@PROGRAM@": table.program,
    }
    text = HEAD + (CONTROL if table.commands else WRAPPER)
    for mark, part in parts.items():
        text = text.replace(mark, part)
    return text
