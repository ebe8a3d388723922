"""A completion for fish."""

from table import brief, flags, paths, words

WRAPPER = """
# Prints the place of the command's first word among the words before the cursor, or the next place
# where it would be; fails as long as the word at the cursor may be an option.
function __@PROGRAM@_command
    set -l tokens (commandline -opc)
    set -l at 2
    while test $at -le (count $tokens)
        set -l word $tokens[$at]
        set at (math $at + 1)
        if test "$word" = --
            break
        else if not string match -q -- '-*' $word
            set at (math $at - 1)
            break
        else if contains -- $word @TAKING@
            set at (math $at + 1)
        end
    end
    set -l word $tokens[(math $at - 1)]
    if test $at -le (count $tokens); or test "$word" = --; or begin
            test $at -eq (math (count $tokens) + 1)
            and not string match -q -- '-*' (commandline -ct)
        end
        echo $at
        return 0
    end
    return 1
end

# Completes the command and its arguments as if they stood alone.
function __@PROGRAM@_as_alone
    set -l tokens (commandline -opc) (commandline -ct)
    set -l words $tokens[(__@PROGRAM@_command)..]
    test (count $words) -gt 1
    and complete -C (string join ' ' -- (string escape -- $words[..-2]) $words[-1])
    or complete -C "$words[-1]"
end

complete -c @PROGRAM@ -f
complete -c @PROGRAM@ -n __@PROGRAM@_command -x -a '(__@PROGRAM@_as_alone)'
"""

CONTROL = """
# Prints the command among the words before the cursor; fails where there is none.
function __@PROGRAM@_command
    set -l value no
    for word in (commandline -opc)[2..]
        if test $value = yes
            set value no
        else if not string match -q -- '-*' $word
            echo $word
            return 0
        else if contains -- $word @TAKING@
            set value yes
        end
    end
    return 1
end

# Whether an option is for the command that stands there.
function __@PROGRAM@_is
    contains -- (__@PROGRAM@_command; or echo none) $argv
end

complete -c @PROGRAM@ -f
"""


def quote(text):
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")


def condition(table, option):
    if option["commands"]:
        return "__%s_is %s" % (table.program, " ".join(option["commands"]))
    return None if table.commands else "not __%s_command" % table.program


def line(table, option):
    words_of_line = ["complete", "-c", table.program]
    when = condition(table, option)
    if when:
        words_of_line += ["-n", quote(when)]
    if option["letter"]:
        words_of_line += ["-s", option["letter"]]
    words_of_line += ["-l", option["name"]]
    if paths(option):
        words_of_line += ["-r", "-F"]
    elif option["argument"]:
        words_of_line += ["-x"]
    if option["argument"] == "CMD":
        words_of_line += ["-a", "'(__fish_complete_command)'"]
    elif words(option):
        words_of_line += ["-a", quote(" ".join(words(option)))]
    return " ".join(words_of_line + ["-d", quote(brief(option))])


def render(table):
    taking = [flag for option in table.options if option["argument"] for flag in flags(option)]
    text = "# Completes %s in fish. Made from its table of options.\n" % table.program
    text += CONTROL if table.commands else WRAPPER
    text = text.replace("@PROGRAM@", table.program).replace("@TAKING@", " ".join(taking))
    for command in table.commands:
        text += "complete -c %s -n 'not __%s_command' -a %s -d %s\n" % (
            table.program,
            table.program,
            command["word"],
            quote(command["help"]),
        )
    return text + "".join(line(table, option) + "\n" for option in table.options)
