/* The option engine, driven by the small table of a program of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaderwrap/cli/help.h"
#include "leaderwrap/cli/settings.h"

#define WORDS_MAX 24

enum lamp_option {
    LAMP_NAME,
    LAMP_COLOR,
    LAMP_LEVEL,
    LAMP_SOCKET,
    LAMP_AFTER,
    LAMP_FOR,
    LAMP_UNTIL,
    LAMP_STYLE,
    LAMP_QUIET,
    LAMP_HELP,
    LAMP_COUNT,
};

enum color {
    COLOR_WHITE,
    COLOR_RED,
};

enum mode {
    MODE_SHINE,
    MODE_HELP,
};

/* One row; of what follows after the help, what has to be said is named. */
#define ROW(section_, name_, letter_, takes_, help_, ...)                                          \
    {                                                                                              \
        .section = (section_), .name = (name_), .letter = (letter_), takes_, .help = (help_),      \
        __VA_ARGS__                                                                                \
    }

static const struct cli_word colors[] = {
    {"white", COLOR_WHITE}, {"red", COLOR_RED}, {"rot", COLOR_RED}, {NULL, 0}};

static const struct cli_word styles[] = {{"steady", false}, {"blink", true}, {NULL, 0}};

static const struct cli_option rows[LAMP_COUNT] = {
    [LAMP_NAME] = ROW("Which", "name", 'n', CLI_TAKES_TEXT("NAME"), "of the lamp",
                      .single = "one lamp at a time"),
    [LAMP_COLOR] = ROW(NULL, "color", 0, CLI_TAKES_WORD("white|red", colors), "of its light"),
    [LAMP_LEVEL] = ROW(NULL, "level", 'l', CLI_TAKES_COUNT("N", 1, 9), "from 1 to 9"),
    [LAMP_SOCKET] =
        ROW(NULL, "socket", 0, CLI_TAKES_NUMBER("N", 0, 12), "where it is", .initial = "7"),
    [LAMP_AFTER] = ROW("When", "switch-on-after", 0, CLI_TAKES_TIME_ABOVE_0("TIME"),
                       "stays dark so long", .initial = "1m", .fallback = "a minute"),
    [LAMP_FOR] = ROW(NULL, "for", 0, CLI_TAKES_TIME("TIME"), "shines so long"),
    [LAMP_UNTIL] =
        ROW(NULL, "wait", 0, CLI_TAKES_TIME_OR_FOREVER("TIME|forever"),
            "for somebody to come, however late that may be, and whoever it then turns out "
            "to be in the end"),
    [LAMP_STYLE] = ROW(NULL, "style", 0, CLI_TAKES_EITHER("steady|blink", styles), "how it shines"),
    [LAMP_QUIET] = ROW(NULL, "quiet", 'q', CLI_IS_FLAG, "says nothing"),
    [LAMP_HELP] = ROW(NULL, "help", 'h', CLI_IS_ONE_OF_SEVERAL, "prints this"),
};

static const struct cli_command commands[] = {
    {"on", NULL, "shines"}, {"dim", "LEVEL", "shines less"}, {"off", NULL, "is dark"}};

static const struct cli_table table = {
    .program = "lamp",
    .prefix = "LAMP_",
    .options = rows,
    .count = LAMP_COUNT,
    .usage = "Usage: lamp\n",
    .notes = "\nIt is bright.\n",
    .commands = commands,
    .command_count = 3,
};

struct lamp {
    struct cli_settings given;
    struct cli_place places[LAMP_COUNT];
    const char *name;
    enum color color;
    int64_t level;
    int socket;
    int64_t after_ms;
    int64_t for_ms;
    int64_t until_ms;
    bool blinks;
    bool quiet;
    enum mode mode;
    char words[512];
    char *argv[WORDS_MAX + 1];
    int argc;
    int rest;
    char error[256];
};

static void make_lamp(struct lamp *lamp)
{
    *lamp = (struct lamp){.name = "desk", .level = 5, .for_ms = -1, .rest = -1};
    lamp->places[LAMP_NAME] = cli_text(&lamp->name);
    lamp->places[LAMP_COLOR] = cli_word(&lamp->color);
    lamp->places[LAMP_LEVEL] = cli_count(&lamp->level);
    lamp->places[LAMP_SOCKET] = cli_number(&lamp->socket);
    lamp->places[LAMP_AFTER] = cli_duration(&lamp->after_ms);
    lamp->places[LAMP_FOR] = cli_duration(&lamp->for_ms);
    lamp->places[LAMP_UNTIL] = cli_duration(&lamp->until_ms);
    lamp->places[LAMP_STYLE] = cli_either(&lamp->blinks);
    lamp->places[LAMP_QUIET] = cli_flag(&lamp->quiet);
    lamp->places[LAMP_HELP] = cli_constant(&lamp->mode, MODE_HELP);
    cli_begin(&lamp->given, &table, lamp->places);
}

/* Splits `line` at its single spaces. */
static void split(struct lamp *lamp, const char *line)
{
    snprintf(lamp->words, sizeof lamp->words, "lamp %s", line);
    for (char *at = lamp->words; at != NULL && *at != '\0' && lamp->argc < WORDS_MAX;)
        lamp->argv[lamp->argc++] = strsep(&at, " ");
}

/* The environment, then the words of `line`. */
static int read_lamp(struct lamp *lamp, const char *line)
{
    make_lamp(lamp);
    split(lamp, line);
    int result = cli_read_environment(&lamp->given, lamp->error, sizeof lamp->error);
    if (result == 0)
        result = cli_read_line(&lamp->given, lamp->argc, lamp->argv, &lamp->rest, lamp->error,
                               sizeof lamp->error);
    return result;
}

static void assert_taken(struct lamp *lamp, const char *line)
{
    if (read_lamp(lamp, line) != 0)
        fail_msg("\"%s\": %s", line, lamp->error);
}

static void assert_refused(const char *line, const char *sentence)
{
    struct lamp lamp;

    assert_int_equal(read_lamp(&lamp, line), -1);
    assert_string_equal(lamp.error, sentence);
}

static int clear_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAMP_COUNT; i++) {
        char variable[CLI_VARIABLE_SIZE];
        cli_variable(&table, i, variable, sizeof variable);
        unsetenv(variable);
    }
    return 0;
}

static void what_is_not_given_stays(void **state)
{
    struct lamp lamp;

    (void)state;
    assert_taken(&lamp, "");
    assert_string_equal(lamp.name, "desk");
    assert_true(lamp.color == COLOR_WHITE && lamp.level == 5 && lamp.socket == 7);
    assert_true(lamp.after_ms == 60000 && lamp.for_ms == -1 && !lamp.quiet && !lamp.blinks &&
                lamp.mode == MODE_SHINE);
    assert_int_equal(lamp.rest, 1);
    for (size_t i = 0; i < LAMP_COUNT; i++)
        assert_false(cli_is_given(&lamp.given, i));
}

static void each_kind_finds_its_place(void **state)
{
    struct lamp lamp;

    (void)state;
    assert_taken(&lamp, "--name=hall --color rot -l9 --socket 12 --switch-on-after 1s --for 0 "
                        "--wait forever --style blink -qh on");
    assert_string_equal(lamp.name, "hall");
    assert_true(lamp.color == COLOR_RED && lamp.level == 9 && lamp.socket == 12);
    assert_true(lamp.after_ms == 1000 && lamp.for_ms == 0 && lamp.until_ms == INT64_MAX);
    assert_true(lamp.quiet && lamp.blinks && lamp.mode == MODE_HELP);
    assert_string_equal(lamp.argv[lamp.rest], "on");
    assert_taken(&lamp, "--wait 2s --style blink --style steady --color red --color white --");
    assert_true(lamp.until_ms == 2000 && !lamp.blinks && lamp.color == COLOR_WHITE);
    assert_int_equal(lamp.rest, lamp.argc);
}

static void the_line_wins_and_each_source_is_known(void **state)
{
    struct lamp lamp;
    char shown[CLI_VARIABLE_SIZE];

    (void)state;
    setenv("LAMP_NAME", "attic", 1);
    setenv("LAMP_SWITCH_ON_AFTER", "3s", 1);
    setenv("LAMP_QUIET", "yes", 1);
    setenv("LAMP_HELP", "1", 1);
    assert_taken(&lamp, "-n cellar --level 2");
    assert_string_equal(lamp.name, "cellar");
    assert_true(lamp.after_ms == 3000 && lamp.quiet && lamp.level == 2);
    assert_int_equal(lamp.mode, MODE_SHINE);
    assert_int_equal(cli_source(&lamp.given, LAMP_NAME), CLI_LINE);
    assert_int_equal(cli_source(&lamp.given, LAMP_AFTER), CLI_ENVIRONMENT);
    assert_int_equal(cli_source(&lamp.given, LAMP_COLOR), CLI_NOT_GIVEN);
    assert_string_equal(cli_show(&lamp.given, LAMP_LEVEL, shown, sizeof shown), "--level");
    assert_string_equal(cli_show(&lamp.given, LAMP_AFTER, shown, sizeof shown),
                        "LAMP_SWITCH_ON_AFTER");
    unsetenv("LAMP_HELP");
}

static void each_mistake_is_told_in_the_program_s_own_words(void **state)
{
    (void)state;
    assert_refused("--zzz", "--zzz is no option; see lamp --help");
    assert_refused("--colour red", "--colour is no option; did you mean --color?");
    assert_refused("--col red", "--col is no option; did you mean --color?");
    assert_refused("-color red", "-color is no option; did you mean --color?");
    assert_refused("-x", "-x is no option; see lamp --help");
    assert_refused("--name", "--name needs a value: --name NAME");
    assert_refused("-l=3", "-l takes its value without a = : -l N");
    assert_refused("--quiet=1", "--quiet takes no value");
    assert_refused("-n a --name b", "--name was given twice: one lamp at a time");
    assert_refused("--color blue", "--color: blue is none of white|red");
    assert_refused("--style loud", "--style: loud is none of steady|blink");
    assert_refused("--level 0", "--level: 0 is no number from 1 to 9");
    assert_refused("--level 10", "--level: 10 is no number from 1 to 9");
    assert_refused("--level 99999999999999999999", "--level: 99999999999999999999 is no number "
                                                   "from 1 to 9");
    assert_refused("--socket -1", "--socket: -1 is no number from 0 to 12");
    assert_refused("--socket=", "--socket: \"\" is no number from 0 to 12");
    assert_refused("--switch-on-after 0",
                   "--switch-on-after: 0 is too short: it must be longer than 0");
    assert_refused("--for forever", "--for: forever is no time: write 500ms, 15s, 5m, 1h30m or 1d");
    assert_refused("--level redis://:pw@h", "--level: its value is no number from 1 to 9");
    setenv("LAMP_QUIET", "perhaps", 1);
    assert_refused("", "LAMP_QUIET: perhaps is neither 1 nor 0");
}

static void the_program_s_own_rules_name_the_setting(void **state)
{
    static const unsigned ids[] = {LAMP_LEVEL, LAMP_FOR};
    struct lamp lamp;

    (void)state;
    setenv("LAMP_FOR", "2s", 1);
    assert_taken(&lamp, "--name n");
    cli_complain(&lamp.given, LAMP_FOR, lamp.error, sizeof lamp.error, "%d is a lot", 2);
    assert_string_equal(lamp.error, "LAMP_FOR: 2 is a lot");
    cli_complain(&lamp.given, LAMP_COLOR, lamp.error, sizeof lamp.error, "none");
    assert_string_equal(lamp.error, "none");
    cli_complain(&lamp.given, LAMP_FOR, lamp.error, 5, "cut");
    assert_string_equal(lamp.error, "LAMP");
    assert_int_equal(cli_refuse_given(&lamp.given, ids, 1, "work", lamp.error, 256), 0);
    assert_int_equal(cli_refuse_given(&lamp.given, ids, 2, "work", lamp.error, 256), -1);
    assert_string_equal(lamp.error, "LAMP_FOR is for work");
}

/* "lamp --quiet dim --level 3": what stands behind a word goes by another table. */
static void a_word_can_have_options_of_its_own(void **state)
{
    static const struct cli_option dim_rows[] = {
        {.name = "level", .letter = 'l', CLI_TAKES_COUNT("N", 0, 100), .help = "how dark"}};
    static const struct cli_table dim = {
        .program = "lamp dim", .prefix = "LAMP_DIM_", .options = dim_rows, .count = 1};
    struct lamp lamp;
    struct cli_settings given;
    int64_t level = 0;
    int rest;
    const struct cli_place place = cli_count(&level);

    (void)state;
    assert_taken(&lamp, "--quiet dim --level 33 hall --bogus");
    assert_string_equal(lamp.argv[lamp.rest], "dim");
    cli_begin(&given, &dim, &place);
    int argc = lamp.argc - lamp.rest;
    char **argv = lamp.argv + lamp.rest;
    assert_int_equal(cli_read_line(&given, argc, argv, &rest, lamp.error, 256), 0);
    assert_true(level == 33 && lamp.level == 5);
    assert_string_equal(argv[rest], "hall");
    argv[1][0] = '-';
    argv[1][2] = 'b';
    assert_int_equal(cli_read_line(&given, argc, argv, &rest, lamp.error, 256), -1);
    assert_string_equal(lamp.error, "--bevel is no option; did you mean --level?");
}

static void assert_near(const char *variable, const char *expected)
{
    char near[256];

    assert_false(cli_is_variable(&table, variable, strlen(variable)));
    cli_suggest_variables(&table, variable, strlen(variable), near, sizeof near);
    assert_string_equal(near, expected);
}

static void variables_that_mean_nothing(void **state)
{
    (void)state;
    assert_true(cli_is_variable(&table, "LAMP_SWITCH_ON_AFTER=1s", 20));
    assert_near("LAMP_COLOUR", "; did you mean LAMP_COLOR?");
    assert_near("LAMP_SWITCH_ON", "; did you mean LAMP_SWITCH_ON_AFTER?");
    assert_near("LAMP_HELP", "; did you mean --help?");
    assert_near("LAMP_XYZZY", "");
    assert_near("LAMP_", "");
}

static void stars(char *value)
{
    memset(value, '*', strlen(value));
}

static void only_values_of_options_are_masked(void **state)
{
    static const char *const expected[] = {"lamp", "--name=**", "-ql*", "--color",
                                           "***",  "--quiet",   "--",   "--name=on"};
    struct lamp lamp;

    (void)state;
    assert_taken(&lamp, "--name=me -ql3 --color red --quiet -- --name=on");
    cli_mask_values(&table, lamp.argc, lamp.argv, stars);
    for (int i = 0; i < lamp.argc; i++)
        assert_string_equal(lamp.argv[i], expected[i]);
}

static void the_help_text_is_the_table(void **state)
{
    static const char expected[] =
        "Usage: lamp\n"
        "\nCommands:\n"
        "  on                      shines\n"
        "  dim LEVEL               shines less\n"
        "  off                     is dark\n"
        "\nWhich:\n"
        "  -n, --name NAME         of the lamp\n"
        "      --color white|red   of its light\n"
        "  -l, --level N           from 1 to 9\n"
        "      --socket N          where it is; default 7\n"
        "\nWhen:\n"
        "      --switch-on-after TIME\n"
        "                          stays dark so long; default a minute\n"
        "      --for TIME          shines so long\n"
        "      --wait TIME|forever\n"
        "                          for somebody to come, however late that may be, and whoever it "
        "then\n"
        "                          turns out to be in the end\n"
        "      --style steady|blink\n"
        "                          how it shines\n"
        "  -q, --quiet             says nothing\n"
        "  -h, --help              prints this\n"
        "\nIt is bright.\n";
    char *text = NULL;
    size_t size = 0;

    (void)state;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(cli_print_help(&table, stream), 0);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
    stream = fopen("/dev/full", "w");
    assert_non_null(stream);
    assert_int_equal(cli_print_help(&table, stream), -ENOSPC);
    fclose(stream);
}

static void commands_are_named_in_a_sentence(void **state)
{
    char text[64];

    (void)state;
    cli_name_commands(&table, 7, " or ", text, sizeof text);
    assert_string_equal(text, "on, dim or off");
    cli_name_commands(&table, 5, " and ", text, sizeof text);
    assert_string_equal(text, "on and off");
    cli_name_commands(&table, 2, " and ", text, sizeof text);
    assert_string_equal(text, "dim");
    cli_name_commands(&table, 0, " and ", text, sizeof text);
    assert_string_equal(text, "");
    cli_name_commands(&table, 7, " or ", text, 6);
    assert_string_equal(text, "on, d");
}

/* Whether a table with one row and its place makes cli_begin end the program. */
static bool is_no_table(struct cli_option row, struct cli_place place)
{
    const struct cli_table broken = {
        .program = "lamp", .prefix = "LAMP_", .options = &row, .count = 1};
    const struct rlimit no_core = {0};
    struct cli_settings settings;
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        cli_begin(&settings, &broken, &place);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_table_that_does_not_fit_its_places_ends_the_program(void **state)
{
    const struct cli_option with = {.name = "name", .help = "help", CLI_TAKES_TEXT("NAME")};
    const struct cli_option without = {.name = "name", .help = "help", CLI_IS_FLAG};
    const struct cli_option line_only = {.name = "name", .help = "help", CLI_IS_ONE_OF_SEVERAL};
    struct cli_option wrong = {
        .name = "level", .help = "help", CLI_TAKES_COUNT("N", 1, 9), .initial = "9"};
    int64_t count;
    const char *text;
    unsigned word;
    bool flag;

    (void)state;
    assert_false(is_no_table(with, cli_text(&text)));
    assert_false(is_no_table(without, cli_flag(&flag)));
    assert_false(is_no_table(line_only, cli_constant(&word, 1)));
    assert_true(is_no_table(with, (struct cli_place){0}));
    assert_true(is_no_table((struct cli_option){0}, cli_flag(&flag)));
    assert_true(is_no_table(without, cli_text(&text)));
    assert_true(is_no_table(with, cli_flag(&flag)));
    assert_true(is_no_table(without, cli_constant(&word, 1)));
    assert_false(is_no_table(wrong, cli_count(&count)));
    wrong.initial = "10";
    assert_true(is_no_table(wrong, cli_count(&count)));
    wrong.value = (struct cli_value){.kind = CLI_WORD};
    assert_true(is_no_table(wrong, cli_word(&word)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_not_given_stays, clear_environment),
        cmocka_unit_test_setup(each_kind_finds_its_place, clear_environment),
        cmocka_unit_test_setup(the_line_wins_and_each_source_is_known, clear_environment),
        cmocka_unit_test_setup(each_mistake_is_told_in_the_program_s_own_words, clear_environment),
        cmocka_unit_test_setup(the_program_s_own_rules_name_the_setting, clear_environment),
        cmocka_unit_test_setup(a_word_can_have_options_of_its_own, clear_environment),
        cmocka_unit_test(variables_that_mean_nothing),
        cmocka_unit_test_setup(only_values_of_options_are_masked, clear_environment),
        cmocka_unit_test(the_help_text_is_the_table),
        cmocka_unit_test(commands_are_named_in_a_sentence),
        cmocka_unit_test(a_table_that_does_not_fit_its_places_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
