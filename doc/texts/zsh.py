"""A completion for zsh."""

from table import brief, flags, paths, words


def quote(text):
    return "'%s'" % text.replace("'", "'\\''")


def plain(text):
    """Within a specification of _arguments."""
    for sign in "\\:[]":
        text = text.replace(sign, "\\" + sign)
    return text


def action(option):
    if paths(option):
        return "_files"
    if option["argument"] == "CMD":
        return "_cmdstring"
    if words(option):
        return "(%s)" % " ".join(words(option))
    return " "


def specifications(option):
    """One for each of the option's names, which exclude each other unless it may be repeated."""
    letter, name = option["letter"], "--" + option["name"]
    takes = bool(option["argument"])
    tail = "[%s]" % plain(brief(option))
    if takes:
        tail += ":%s:%s" % (plain(option["argument"]), action(option))
    names = flags(option)
    before = "*" if option["kind"] == "texts" else "(%s)" % " ".join(names)
    if option["kind"] == "constant":
        before = "(- *)"
    if letter:
        yield before + "-" + letter + ("+" if takes else "") + tail
    yield before + name + ("=" if takes else "") + tail


def arguments(options, indent):
    return "".join(
        "%s%s \\\n" % (indent, quote(text)) for o in options for text in specifications(o)
    )


WRAPPER = """#compdef leaderwrap
# Made from leaderwrap's table of options.

# A -- that stands in front of all options is among the words of the command.
_leaderwrap_command() {
    if [[ $words[1] == -- ]]; then
        shift words
        (( CURRENT-- ))
    fi
    _normal
}

_arguments -s -S : \\
@OPTIONS@    '(-):command: _command_names -e' \\
    '*::arguments:_leaderwrap_command'
"""

CONTROL = """#compdef leaderctl
# Made from leaderctl's table of options.

# The command is known before the options that stand in front of it are looked at.
local word command
local -a own commands
commands=(
@COMMANDS@)
for word in ${words[2,CURRENT-1]}; do
    if (( ${commands[(I)$word:*]} )); then
        command=$word
        break
    fi
done
case $command in
@OWN@esac
_arguments -s -S : $own \\
@OPTIONS@    '1:command:{ _describe command commands }' \\
    '*:argument: '
"""


def own_options(table):
    for command in table.commands:
        own = table.of_command(command["word"])
        if own:
            yield "%s)\n    own=(\n%s    )\n    ;;\n" % (
                command["word"],
                arguments(own, "        ").replace(" \\\n", "\n"),
            )


def render(table):
    general = [option for option in table.options if not option["commands"]]
    commands = "".join(
        "    %s\n" % quote("%s:%s" % (c["word"], c["help"].replace(":", "\\:")))
        for c in table.commands
    )
    text = CONTROL if table.commands else WRAPPER
    text = text.replace("@OPTIONS@", arguments(general, "    "))
    return text.replace("@OWN@", "".join(own_options(table))).replace("@COMMANDS@", commands)
