/*
 * Where an option's value goes. The functions below are the only way to make a place: each takes a
 * pointer to the type that its kind of value has, so that a field of another type does not compile.
 * What the value may be says the option's row (option.h), whose kind is that of the place. The
 * field keeps what it had until its option is given, or has the initial value of the row.
 */
#ifndef LEADERWRAP_CLI_PLACE_H
#define LEADERWRAP_CLI_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/cli/option.h"

#define CLI_TEXTS_MOST 32

/* The values of an option that may be given several times, in their order. */
struct cli_texts {
    const char *list[CLI_TEXTS_MOST];
    size_t count;
};

struct cli_place {
    enum cli_kind kind;
    unsigned constant; /* CLI_CONSTANT */
    union {
        const char **text;
        struct cli_texts *texts;
        bool *flag;     /* CLI_FLAG, CLI_EITHER */
        unsigned *word; /* CLI_CONSTANT, CLI_WORD */
        int64_t *ms;
        int64_t *count;
        int *number;
    } to;
};

/* It is not copied: a part of argv or of the environment. */
static inline struct cli_place cli_text(const char **text)
{
    return (struct cli_place){.kind = CLI_TEXT, .to.text = text};
}

static inline struct cli_place cli_texts(struct cli_texts *texts)
{
    return (struct cli_place){.kind = CLI_TEXTS, .to.texts = texts};
}

static inline struct cli_place cli_flag(bool *flag)
{
    return (struct cli_place){.kind = CLI_FLAG, .to.flag = flag};
}

/* `constant` where it is given. `word` may point to an enum. */
static inline struct cli_place cli_constant(unsigned *word, unsigned constant)
{
    return (struct cli_place){.kind = CLI_CONSTANT, .to.word = word, .constant = constant};
}

static inline struct cli_place cli_either(bool *flag)
{
    return (struct cli_place){.kind = CLI_EITHER, .to.flag = flag};
}

/* `word` may point to an enum. */
static inline struct cli_place cli_word(unsigned *word)
{
    return (struct cli_place){.kind = CLI_WORD, .to.word = word};
}

/* In milliseconds. */
static inline struct cli_place cli_duration(int64_t *ms)
{
    return (struct cli_place){.kind = CLI_DURATION, .to.ms = ms};
}

static inline struct cli_place cli_count(int64_t *count)
{
    return (struct cli_place){.kind = CLI_COUNT, .to.count = count};
}

static inline struct cli_place cli_number(int *number)
{
    return (struct cli_place){.kind = CLI_NUMBER, .to.number = number};
}

#endif
