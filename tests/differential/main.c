/* Runs sequences of steps until time or calls are up, and says what they reached. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "differential.h"
#include "leaderwrap/base/clock.h"

#define EXIT_DIFFERENCE 1
#define EXIT_TROUBLE    2
#define EXIT_UNCOVERED  3
#define USUAL_SECONDS   20
#define MANY_SECONDS    100000000
#define PATIENCE        3 /* times the usual amount */

struct options {
    uint64_t seed;
    int64_t seconds;
    uint64_t calls;
    bool one;   /* only that seed, with a trace */
    bool brief; /* no table: for mutants */
    enum real_kind kind;
    const char *directory;
};

void give_up(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("differential: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_TROUBLE);
}

/* ---- options ---- */

static _Noreturn void usage(int status)
{
    fputs("usage: differential [--seconds N] [--calls N] [--from SEED | --seed SEED] [--brief]\n"
          "                    [--as plain | cluster | promoted] DIRECTORY\n"
          "Compares the real server ($REDIS_SERVER) with the model until either amount is\n"
          "reached (20 seconds if none is given), sequence by sequence, each from a seed of its\n"
          "own; --seed runs one of them with a trace. DIRECTORY is empty and for the server.\n",
          status == 0 ? stdout : stderr);
    exit(status);
}

static uint64_t number_of(const char *text)
{
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        usage(64);
    uint64_t number = strtoull(text, &end, 10);
    if (*end != '\0')
        usage(64);
    return number;
}

static const char *const kind_words[] = {
    [REAL_PLAIN] = "plain", [REAL_CLUSTER] = "cluster", [REAL_PROMOTED] = "promoted"};

static enum real_kind kind_of(const char *word)
{
    for (size_t i = 0; word != NULL && i < sizeof kind_words / sizeof kind_words[0]; i++)
        if (strcmp(word, kind_words[i]) == 0)
            return (enum real_kind)i;
    usage(64);
}

static struct options parse(char **word)
{
    struct options options = {.seed = 1, .seconds = USUAL_SECONDS, .calls = UINT64_MAX};
    bool timed = false;

    for (; *word != NULL && (*word)[0] == '-'; word++) {
        if (strcmp(*word, "--help") == 0) {
            usage(0);
        } else if (strcmp(*word, "--brief") == 0) {
            options.brief = true;
        } else if (strcmp(*word, "--as") == 0) {
            options.kind = kind_of(*++word);
        } else if (strcmp(*word, "--seconds") == 0) {
            options.seconds = (int64_t)number_of(*++word);
            timed = true;
        } else if (strcmp(*word, "--calls") == 0) {
            options.calls = number_of(*++word);
        } else if (strcmp(*word, "--from") == 0) {
            options.seed = number_of(*++word);
        } else if (strcmp(*word, "--seed") == 0) {
            options.seed = number_of(*++word);
            options.one = true;
        } else {
            usage(64);
        }
    }
    if (*word == NULL || word[1] != NULL)
        usage(64);
    if (options.calls != UINT64_MAX && !timed)
        options.seconds = MANY_SECONDS;
    options.directory = *word;
    return options;
}

/* ---- running ---- */

static void run_sequence(struct test *test, uint64_t seed)
{
    test->seed = seed;
    for (test->step = 0; test->step < STEPS && !test->failed; test->step++)
        generate_step(test);
}

static int count_reached(const struct test *test)
{
    int reached = 0;

    for (int i = 0; i < COVERED; i++)
        reached += test->covered[i] != 0;
    return reached;
}

/* A server that takes its time to start, or is never a replica, does not get everywhere; but far.
 */
static int count_uncovered(const struct test *test)
{
    int uncovered = 0;

    if (test->real.kind != REAL_PLAIN)
        return count_reached(test) < COVERED / 2;

    for (int i = 0; i < COVERED; i++)
        uncovered += test->covered[i] == 0;
    return uncovered;
}

/* On a slow machine what is rare gets more time. */
static bool is_enough(const struct test *test, const struct options *options, int64_t took_ns)
{
    int64_t usual_ns = options->seconds * MS_PER_SEC * NS_PER_MS;

    if (options->one || test->failed || test->calls >= options->calls)
        return true;
    return took_ns >= (count_uncovered(test) > 0 ? PATIENCE * usual_ns : usual_ns);
}

static void run(struct test *test, const struct options *options)
{
    int64_t began_ns = clock_boottime_ns();
    uint64_t seed = options->seed;

    test->tracing = options->one;
    do
        run_sequence(test, seed++);
    while (!is_enough(test, options, clock_boottime_ns() - began_ns));
}

/* ---- results ---- */

static void print_covered(const struct test *test, bool brief)
{
    for (int i = 0; i < COVERED; i++) {
        if (!brief)
            printf("%10" PRIu64 "  %s\n", test->covered[i], covered_names[i]);
        if (test->covered[i] == 0 && test->real.kind == REAL_PLAIN)
            printf("NEVER REACHED: %s\n", covered_names[i]);
    }
}

static int conclude(const struct test *test, const struct options *options, int64_t took_ns)
{
    if (test->failed) {
        printf("  replay tests/differential/run --seed %" PRIu64 " --as %s\n", test->seed,
               kind_words[options->kind]);
        printf("caught after %" PRIu64 " calls\n", test->calls);
        return EXIT_DIFFERENCE;
    }
    if (options->one)
        return 0;
    int uncovered = count_uncovered(test);
    print_covered(test, options->brief);
    printf("%" PRIu64 " calls in %.1f s, seeds %" PRIu64 " to %" PRIu64 ", %" PRIu64
           " restarts, no difference, %d of %d things reached\n",
           test->calls, (double)took_ns / 1e9, options->seed, test->seed, test->restarts,
           count_reached(test), COVERED);
    return uncovered > 0 ? EXIT_UNCOVERED : 0;
}

int main(int argc, char **argv)
{
    struct options options = parse(argv + (argc > 0));
    struct test *test = calloc(1, sizeof *test);
    int64_t began_ns = clock_boottime_ns();

    if (test == NULL || (test->world = calloc(1, sizeof *test->world)) == NULL)
        give_up("no memory");
    real_begin(&test->real, options.kind, options.directory, SIM_WALL_US);
    run(test, &options);
    real_end(&test->real);
    int status = conclude(test, &options, clock_boottime_ns() - began_ns);
    free(test->world);
    free(test);
    return status;
}
