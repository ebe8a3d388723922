/*
 * Where an option's value goes, and what it may be. The functions below are the only way to make a
 * place: each takes a pointer to the type that its kind of value has, so that a field of another
 * type does not compile. The field keeps what it had until its option is given.
 */
#ifndef LEADERWRAP_CLI_PLACE_H
#define LEADERWRAP_CLI_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_TEXTS_MOST 32

/* One of the words that an option takes. A list of them ends with a word that is NULL. */
struct cli_word {
    const char *word;
    unsigned value;
};

/* The values of an option that may be given several times, in their order. */
struct cli_texts {
    const char *list[CLI_TEXTS_MOST];
    size_t count;
};

enum cli_kind {
    CLI_NOWHERE, /* a row without a place is the program's mistake: see cli_begin */
    CLI_TEXT,
    CLI_TEXTS,
    CLI_FLAG,
    CLI_CONSTANT,
    CLI_EITHER,
    CLI_WORD,
    CLI_DURATION,
    CLI_COUNT,
    CLI_NUMBER,
};

struct cli_place {
    enum cli_kind kind;
    union {
        const char **text;
        struct cli_texts *texts;
        bool *flag;     /* CLI_FLAG, CLI_EITHER */
        unsigned *word; /* CLI_CONSTANT, CLI_WORD */
        int64_t *ms;
        int64_t *count;
        int *number;
    } to;
    union {
        unsigned constant;
        const char *either[2];
        const struct cli_word *words;
        struct {
            bool positive;
            bool forever;
        } duration;
        struct {
            int64_t least;
            int64_t most;
        } range; /* CLI_COUNT, CLI_NUMBER */
    } rule;
};

/* Any text. It is not copied: a part of argv or of the environment. */
static inline struct cli_place cli_text(const char **text)
{
    return (struct cli_place){.kind = CLI_TEXT, .to.text = text};
}

/* Any text, and any number of them up to CLI_TEXTS_MOST. Those of the command line replace that of
 * the environment. */
static inline struct cli_place cli_texts(struct cli_texts *texts)
{
    return (struct cli_place){.kind = CLI_TEXTS, .to.texts = texts};
}

/* True where it is given; in the environment 1, yes, true, on, or 0, no, false, off. */
static inline struct cli_place cli_flag(bool *flag)
{
    return (struct cli_place){.kind = CLI_FLAG, .to.flag = flag};
}

/* `constant` where it is given: for an option without an argument and without a variable, one of
 * several that exclude each other. `word` may point to an enum. */
static inline struct cli_place cli_constant(unsigned *word, unsigned constant)
{
    return (struct cli_place){.kind = CLI_CONSTANT, .to.word = word, .rule.constant = constant};
}

/* One of two words, the second of which sets the flag. */
static inline struct cli_place cli_either(bool *flag, const char *clears, const char *sets)
{
    return (struct cli_place){.kind = CLI_EITHER, .to.flag = flag, .rule.either = {clears, sets}};
}

/* One of several words, as its value. `word` may point to an enum. */
static inline struct cli_place cli_word(unsigned *word, const struct cli_word *words)
{
    return (struct cli_place){.kind = CLI_WORD, .to.word = word, .rule.words = words};
}

/* A duration (duration.h) in milliseconds, which may be 0. */
static inline struct cli_place cli_duration(int64_t *ms)
{
    return (struct cli_place){.kind = CLI_DURATION, .to.ms = ms};
}

/* A duration that cannot be 0. */
static inline struct cli_place cli_duration_above_0(int64_t *ms)
{
    return (struct cli_place){.kind = CLI_DURATION, .to.ms = ms, .rule.duration.positive = true};
}

/* A duration, or "forever", which is INT64_MAX. */
static inline struct cli_place cli_duration_or_forever(int64_t *ms)
{
    return (struct cli_place){.kind = CLI_DURATION, .to.ms = ms, .rule.duration.forever = true};
}

/* A whole number; 0 <= least <= most. */
static inline struct cli_place cli_count(int64_t *count, int64_t least, int64_t most)
{
    return (struct cli_place){
        .kind = CLI_COUNT, .to.count = count, .rule.range = {.least = least, .most = most}};
}

/* The same, where an int is enough. */
static inline struct cli_place cli_number(int *number, int least, int most)
{
    return (struct cli_place){
        .kind = CLI_NUMBER, .to.number = number, .rule.range = {.least = least, .most = most}};
}

#endif
