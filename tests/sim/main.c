/* Runs schedules on all cores and says what came of them. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define WORKERS_MAX    64
#define ENOUGH_FOR_ALL 5000 /* schedules in which each fault must have happened */

struct options {
    uint64_t from;
    uint64_t runs;
    int64_t seconds; /* 0: no limit */
    int workers;
    bool replay;
    bool until_fail;
    bool serving_without_wait;
    bool brief;
};

/* What the workers share. Each writes its own. */
struct result {
    struct statistics statistics;
    bool failed;
    uint64_t seed;
    uint64_t schedules; /* before the failure */
    enum violation violation;
    char text[200];
};

static const char usage[] =
    "Usage: sim [OPTION]...\n"
    "  --seed N       replay schedule N and print its timeline\n"
    "  --runs N       run N schedules (default 20000)\n"
    "  --from N       beginning with schedule N (default 1)\n"
    "  --seconds N    stop after N seconds, however many have been run\n"
    "  --until FAIL   go on until a schedule fails, and print its timeline\n"
    "  --workers N    processes (default: one per core)\n"
    "  --brief        one line: the first failure, or the number of schedules\n"
    "  --accept-failover-overlap\n"
    "                 outside the promise: old masters go on serving after a failover, and nobody\n"
    "                 waits for replicas; overlaps are only counted\n";

static int64_t seconds_since(int64_t start_ns)
{
    return (clock_boottime_ns() - start_ns) / NS_PER_MS / 1000;
}

static struct world *world_new(struct statistics *statistics)
{
    struct world *world = calloc(1, sizeof *world);

    if (world == NULL) {
        fprintf(stderr, "sim: out of memory\n");
        exit(1);
    }
    world->statistics = statistics;
    return world;
}

/* Worker `number` takes every so-manieth seed, so that a seed means the same for any number. */
static void work(const struct options *options, struct result *results, int number,
                 int64_t start_ns)
{
    struct result *result = &results[number];
    struct world *world = world_new(&result->statistics);

    for (uint64_t i = (uint64_t)number; options->until_fail || i < options->runs;
         i += (uint64_t)options->workers) {
        /* Should it crash, this is what is known of it. */
        result->seed = options->from + i;
        result->schedules = i + 1;
        schedule_run(world, options->from + i, options->serving_without_wait, false);
        if (world->violation != VIOLATION_NONE) {
            result->violation = world->violation;
            memcpy(result->text, world->violation_text, sizeof result->text);
            result->failed = true;
            break;
        }
        /* The others go on only up to the first failure known, so that it is the first of all. */
        if (options->seconds > 0 && seconds_since(start_ns) >= options->seconds)
            break;
        for (int other = 0; other < options->workers; other++) {
            if (results[other].failed && results[other].seed < options->from + i)
                goto end;
        }
    }
end:
    free(world);
}

static struct result *run_workers(const struct options *options)
{
    int64_t start_ns = clock_boottime_ns();
    pid_t pids[WORKERS_MAX];
    struct result *results = mmap(NULL, sizeof *results * WORKERS_MAX, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 0;

    if (results == MAP_FAILED)
        return NULL;
    for (int i = 0; i < options->workers; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            work(options, results, i, start_ns);
            exit(0);
        }
    }
    for (int i = 0; i < options->workers; i++) {
        if (pids[i] < 0 || waitpid(pids[i], &status, 0) < 0 || status != 0) {
            results[i].failed = true;
            results[i].violation = VIOLATION_BROKEN;
            snprintf(results[i].text, sizeof results[i].text, "worker %d ended with status %#x", i,
                     (unsigned)status);
        }
    }
    return results;
}

/* ---- saying what came of it ---- */

static const struct result *first_failure(const struct options *options,
                                          const struct result *results)
{
    const struct result *first = NULL;

    for (int i = 0; i < options->workers; i++) {
        if (results[i].failed && (first == NULL || results[i].seed < first->seed))
            first = &results[i];
    }
    return first;
}

static void add_up(struct statistics *sum, const struct statistics *one)
{
    sum->schedules += one->schedules;
    sum->simulated_ms += one->simulated_ms;
    sum->events += one->events;
    sum->steps += one->steps;
    sum->elections += one->elections;
    sum->takeovers += one->takeovers;
    sum->claims += one->claims;
    sum->delays += one->delays;
    sum->releases += one->releases;
    sum->renewals += one->renewals;
    sum->wills += one->wills;
    sum->abandoned += one->abandoned;
    sum->overlaps += one->overlaps;
    if (one->longest_wait_ms > sum->longest_wait_ms)
        sum->longest_wait_ms = one->longest_wait_ms;
    for (int i = 0; i < FAULTS; i++)
        sum->faults[i] += one->faults[i];
}

static void print_statistics(const struct statistics *sum, int64_t elapsed_ms)
{
    printf("%" PRIu64 " schedules in %.1f s (%.0f a second), %.1f simulated years, "
           "%" PRIu64 " events, %" PRIu64 " steps of the election\n",
           sum->schedules, (double)elapsed_ms / 1e3,
           (double)sum->schedules * 1e3 / (double)(elapsed_ms + 1),
           (double)sum->simulated_ms / 1e3 / 86400 / 365.25, sum->events, sum->steps);
    printf("%" PRIu64 " elections, %" PRIu64 " of them by another candidate than before, %" PRIu64
           " renewals, %" PRIu64 " releases, %" PRIu64 " last wills, %" PRIu64
           " lost answers taken up, %" PRIu64 " keepers given up, %" PRIu64 " lock delays\n",
           sum->elections, sum->takeovers, sum->renewals, sum->releases, sum->wills, sum->claims,
           sum->abandoned, sum->delays);
    printf("longest wait for a leader after the last fault: %.3f s\n",
           (double)sum->longest_wait_ms / 1e3);
    for (int i = 0; i < FAULTS; i++)
        printf("  %-34s %12" PRIu64 "\n", fault_names[i], sum->faults[i]);
}

/* Where nothing prevents overlaps there are no witnesses. */
static bool is_meant(const struct options *options, enum fault fault)
{
    bool of_witnesses = fault == FAULT_FAIL_BACK || fault == FAULT_NEW_EPOCH ||
                        fault == FAULT_WITNESSES_DOWN || fault == FAULT_WITNESSES_CUT;

    return !of_witnesses || !options->serving_without_wait;
}

/* Faults that the simulator means to inject and does not: then it proves less than it says. */
static int count_missing(const struct options *options, const struct statistics *sum)
{
    int missing = 0;

    for (int i = 0; i < FAULTS && sum->schedules >= ENOUGH_FOR_ALL; i++) {
        if (sum->faults[i] == 0 && is_meant(options, (enum fault)i)) {
            printf("never happened: %s\n", fault_names[i]);
            missing++;
        }
    }
    if (options->serving_without_wait && sum->schedules >= ENOUGH_FOR_ALL && sum->overlaps == 0) {
        printf("no overlap was seen although nothing prevents them\n");
        missing++;
    }
    return missing;
}

static int replay(uint64_t seed, bool serving_without_wait)
{
    struct statistics statistics = {0};
    struct world *world = world_new(&statistics);

    schedule_run(world, seed, serving_without_wait, true);
    printf("schedule %" PRIu64 ": %s%s%s\n", seed,
           world->violation == VIOLATION_NONE ? "passed" : violation_names[world->violation],
           world->violation == VIOLATION_NONE ? "" : ": ",
           world->violation == VIOLATION_NONE ? "" : world->violation_text);
    bool failed = world->violation != VIOLATION_NONE;
    free(world);
    return failed ? 1 : 0;
}

static int run(const struct options *options)
{
    struct statistics sum = {0};
    int64_t start_ns = clock_boottime_ns();
    const struct result *results = run_workers(options);

    if (results == NULL) {
        fprintf(stderr, "sim: out of memory\n");
        return 1;
    }
    const struct result *failure = first_failure(options, results);
    for (int i = 0; i < options->workers; i++)
        add_up(&sum, &results[i].statistics);
    if (options->brief && failure != NULL)
        printf("%s|%" PRIu64 "|%" PRIu64 "|%s\n", violation_names[failure->violation],
               failure->seed, failure->schedules, failure->text);
    else if (options->brief)
        printf("none|0|%" PRIu64 "|\n", sum.schedules);
    if (options->brief)
        return failure != NULL;
    print_statistics(&sum, (clock_boottime_ns() - start_ns) / NS_PER_MS);
    if (options->serving_without_wait)
        printf("overlaps, which are expected here: %" PRIu64 "\n", sum.overlaps);
    if (failure != NULL) {
        printf("FAILED: %s: %s; see --seed %" PRIu64 "\n", violation_names[failure->violation],
               failure->text, failure->seed);
        if (options->until_fail)
            (void)replay(failure->seed, options->serving_without_wait);
    }
    int missing = failure == NULL ? count_missing(options, &sum) : 0;
    uint64_t passed = sum.schedules - (failure != NULL);
    printf("sim: %" PRIu64 " passed, %d failed\n", passed, (failure != NULL) + missing);
    return failure != NULL || missing > 0;
}

/* ---- options ---- */

static uint64_t number_or_exit(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0') {
        fprintf(stderr, "sim: %s is no number\n%s", text, usage);
        exit(64);
    }
    return number;
}

static void parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},
        {"runs", required_argument, NULL, 'r'},
        {"from", required_argument, NULL, 'f'},
        {"seconds", required_argument, NULL, 't'},
        {"until", required_argument, NULL, 'u'},
        {"workers", required_argument, NULL, 'w'},
        {"brief", no_argument, NULL, 'b'},
        {"accept-failover-overlap", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 's':
            options->from = number_or_exit(optarg);
            options->replay = true;
            break;
        case 'r':
            options->runs = number_or_exit(optarg);
            break;
        case 'f':
            options->from = number_or_exit(optarg);
            break;
        case 't':
            options->seconds = (int64_t)number_or_exit(optarg);
            break;
        case 'u':
            options->until_fail = true;
            break;
        case 'w':
            options->workers = (int)number_or_exit(optarg);
            break;
        case 'b':
            options->brief = true;
            break;
        case 'o':
            options->serving_without_wait = true;
            break;
        default:
            fputs(usage, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 64);
        }
    }
    if (options->workers < 1 || options->workers > WORKERS_MAX)
        options->workers = 1;
}

int main(int argc, char **argv)
{
    struct options options = {
        .from = 1, .runs = 20000, .workers = (int)sysconf(_SC_NPROCESSORS_ONLN)};

    parse(&options, argc, argv);
    if (options.replay)
        return replay(options.from, options.serving_without_wait);
    return run(&options);
}
