/*
 * The differential test: the same random steps are done to a real server, with the scripts as they
 * are shipped, and to the simulator's model of a server, and after each of them both must have
 * given the same answer, have the same data and have published the same.
 *
 * The model is that of tests/sim, file by file. It deliberately knows nothing of: the history
 * stream and the field `term` that is kept for it, which no rule reads; fields that somebody has
 * broken, and keys of a wrong type; servers that hide INFO; commands refused in mid-script, but for
 * the SET of K, which matters. A name in it is the part of the id before the '#', as it is in
 * leaderwrap. What it has beyond one master (replicas that lag, WAIT, a server that stands still)
 * is not compared here.
 */
#ifndef DIFFERENTIAL_H
#define DIFFERENTIAL_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

#include "sim/world.h"

#define CANDIDATES       4
#define LISTENERS_MAX    2
#define ASKER            LISTENERS_MAX /* the model's process that asks; those before it listen */
#define DUMPS            3
#define SEEN             16
#define STEPS            400 /* of one sequence */
#define IDENTS_MAX       (STEPS + 1)
#define TEXT_SIZE        1024
#define FOREIGN_EMPTY    (FOREIGN_ID - 1) /* an empty value */
#define FOREIGN_LONG     (FOREIGN_ID - 2) /* one longer than any id */
#define FOREIGN_VALUES   3
#define FOREIGN_TTL_NONE NEVER

/* ---- a real server ---- */

enum real_kind {
    REAL_PLAIN,
    REAL_CLUSTER,  /* a node that owns all slots */
    REAL_PROMOTED, /* whenever it starts, it gets its data as a replica, and is promoted */
};

struct real {
    enum real_kind kind;
    const char *directory; /* of its data and its socket; borrowed */
    char socket[108];
    pid_t pid;
    volatile int64_t *clock_us; /* what its wall clock shows */
    redisContext *commands;
    redisContext *listeners[LISTENERS_MAX];
    int listening;
};

/* What can be said of a request, its answer and the data it met. Each must happen in a run. */
enum covered {
    FRESH_GRANTED,
    FRESH_BUT_HOLDER,
    FREE_GRANTED,
    HOLD_OVER_GRANTED,
    HOLD_OVER_EXACTLY,
    HOLD_ONE_MS_LEFT,
    HOLD_COUNTED_OUT,
    HOLD_COUNTED_ON,
    HOLD_OUT_OF_RANGE,
    VACANT_WITH_HOLD_GRANTED,
    VACANT_WITH_HOLD_REFUSED,
    HOLD_VACATED,
    CLOCK_FOLLOWED,
    CLOCK_FOLLOWED_HOLD,
    HELD_OBSERVED,
    VACANT_OBSERVED,
    OBSERVED_EXACTLY,
    OBSERVED_ONE_MS_SHORT,
    OBSERVED_OTHER_TTL,
    OBSERVED_OTHER_IDENT,
    OBSERVED_OTHER_VERSION,
    HELD_BY_CLOCK,
    VACANT_BY_CLOCK,
    CLOCK_AT_THRESHOLD,
    CLOCK_PAST_THRESHOLD,
    CLOCK_OTHER_TTL,
    HELD_REFUSED,
    VACANT_REFUSED,
    HOLD_REFUSED,
    FOREIGN_REFUSED,
    FOREIGN_EMPTY_REFUSED,
    FOREIGN_LONG_REFUSED,
    FOREIGN_OTHERWISE_GRANTED,
    VACATED_MISSING,
    VACATED_OTHER_REPLID,
    VACATED_OTHER_EPOCH,
    VACATED_FREE,
    VACATED_FOREIGN,
    VACATED_LONGER_TTL_KEPT,
    VACATED_LONGER_TTL_OURS,
    VACATED_HIGHER_TOKEN_KEPT,
    VACATED_HIGHER_FLOOR,
    VACANT_RAISED,
    TOKEN_NEXT,
    TOKEN_FLOOR,
    TOKEN_TIME,
    GRANTED_HOLDER_GONE,
    GRANTED_HOLDER_OWN,
    GRANTED_HOLDER_OTHER,
    RENEWED_MINE,
    RENEWED_MISSING,
    RENEWED_LOWER,
    RENEWED_LOWER_UNCERTAIN,
    RENEWED_VACANT,
    RENEWED_UNCERTAIN_MINE,
    RENEWED_UNCERTAIN_VACANT,
    LOST_FOREIGN,
    LOST_HIGHER,
    LOST_HIGHER_UNCERTAIN,
    LOST_RELEASED,
    LOST_UNCERTAIN_RELEASED,
    LOST_UNCERTAIN_HOLD,
    LOST_OTHER_ID,
    LOST_UNCERTAIN_OTHER_ID,
    CLAIMED,
    CLAIM_MISSING,
    CLAIM_UNCERTAIN,
    CLAIM_NOT_HELD,
    CLAIM_OTHER_ID,
    CLAIM_OTHER_TOKEN,
    RELEASED_FREE,
    RELEASED_HOLD,
    RELEASED_HOLDER_GONE,
    RELEASED_HOLDER_OTHER,
    RELEASE_MISSING,
    RELEASE_STATE_ONLY,
    RELEASE_ID_ONLY,
    RELEASE_TOKEN_ONLY,
    RELEASE_IDENT_ONLY,
    RELEASE_VERSION_ONLY,
    RELEASE_OTHER_BASE,
    RELEASED_BASE,
    RENEWED_BASE,
    RENEWED_SAME_BASE,
    RENEWED_GAP,
    PAUSED_REFUSED,
    PAUSED_FOR_A_WHILE,
    PAUSE_OVER_GRANTED,
    PAUSE_SHOWN,
    PAUSE_SIGN_LEFT_BEHIND,
    CORDONED_REFUSED,
    CORDON_OF_OTHERS_GRANTED,
    ASK_FOR_OTHERS_REFUSED,
    ASK_FOR_ME_GRANTED,
    ASK_FOR_ANYBODY_GRANTED,
    ASK_OVER_GRANTED,
    ASK_VOID_GRANTED,
    RENEWED_PAUSED,
    RENEWED_CORDONED,
    RENEWED_ASKED,
    RENEWED_ASK_VOID,
    WISH_KEPT,
    PAUSE_FOLLOWED,
    ASK_FOLLOWED,
    NOT_MASTER_SERVER,
    NOT_MASTER_SCRIPT,
    SET_REFUSED,
    SET_REFUSED_AT_ONCE,
    CLOCK_BEFORE_WRITE,
    HOLDER_EXPIRES_NOW,
    HOLDER_EXPIRED_1_MS,
    HOLDER_EXPIRED,
    LISTENERS_NONE,
    LISTENERS_ONE,
    LISTENERS_TWO,
    CLOCK_STEPPED_BACK,
    CLOCK_STEPPED_FORWARD,
    HOLDER_DELETED,
    TERM_DELETED,
    FLUSHED,
    FOREIGN_SET,
    DUMPED,
    PROMOTED,
    RESTARTED_KEPT,
    RESTARTED_EMPTY,
    RESTARTED_ROLLED_BACK,
    WISHED,
    COVERED,
};

extern const char *const covered_names[COVERED];

/* A version of the record that was once seen. */
struct seen {
    uint64_t incarnation;
    uint64_t version;
    uint64_t token;
    uint32_t id;
};

#define NUMBER_SIZE 24

struct test {
    struct real real;
    struct world *world;
    struct server *server; /* the model's only one */
    struct statistics statistics;

    uint64_t seed;
    int step;
    bool tracing;
    bool failed;
    bool demoted;
    bool writable;             /* though demoted: the scripts have to look themselves */
    bool set_refused;          /* the asker has no right to it */
    char operation[TEXT_SIZE]; /* the last one, for a person */
    uint64_t last_nonce;
    struct seen seen[SEEN]; /* the youngest is at seen_count - 1, modulo SEEN */
    uint32_t seen_count;
    struct data dumps[DUMPS];
    int dump_count;
    char idents[IDENTS_MAX][LEASE_INCARNATION_SIZE]; /* of the real server */
    uint64_t ident_numbers[IDENTS_MAX];              /* of the model, for the same */
    int ident_count;

    uint64_t calls;
    uint64_t restarts;
    uint64_t covered[COVERED];
};

/* Ends the program: the test itself cannot go on. */
void give_up(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ---- real.c ---- */

#define REAL_KEY     "differential"
#define REAL_TERM    "{differential}:term"
#define REAL_HISTORY "{differential}:history"
#define REAL_CHANNEL "{differential}:events"

/* Makes the clock, which shows `us`, and starts the server, empty. `directory` must be empty. */
void real_begin(struct real *real, enum real_kind kind, const char *directory, int64_t us);
void real_end(struct real *real);
/* Ends it by SIGKILL and starts it on the dump of that name (NULL: without any). Listeners are
 * gone then. */
void real_restart(struct real *real, const char *dump);
/* Runs one command, which must succeed. The caller frees the reply. */
redisReply *real_ask(struct real *real, const char *format, ...);
/* The same, without an interest in the reply. */
void real_do(struct real *real, const char *format, ...);
/* Writes all data to a dump of that name. */
void real_dump(struct real *real, const char *name);
void real_ident(struct real *real, char incarnation[LEASE_INCARNATION_SIZE]);
void real_listen(struct real *real, int listeners);
/* Writes all that listener has been sent by now, a line for each message. */
void real_heard(struct real *real, int listener, char *text);

/* ---- model.c ---- */

void model_begin(struct test *test);
/* Makes the real server's clock show what the model's does. */
void model_show_clock(struct test *test);
int64_t model_now_us(const struct test *test);
/* Time passes, or, where `us` is in the past, the clock is stepped back. */
void model_go_to(struct test *test, int64_t us);
/* Where anything looks at K: it is deleted if it has expired. Nothing is on a replica. */
void model_expire(struct test *test);
/* The server is another one now, or only its replid is. */
void model_new_ident(struct test *test, bool same_process);
void model_listen(struct test *test, int listeners);
/* Executes `request`, which becomes the answer. Writes what each listener hears to heard[]. */
void model_execute(struct test *test, struct message *request,
                   char heard[LISTENERS_MAX][TEXT_SIZE]);

/* ---- words.c: what the model has, as the scripts write it ---- */

const char *id_text(uint32_t id);
/* Ditto of the part before the '#'; returns `name`. */
const char *name_text(uint32_t id, char name[LEASE_NAME_MAX + 1]);
/* Ditto of the fingerprint of its command, which the first has not. */
const char *command_text(uint32_t id, char command[LEASE_COMMAND_SIZE]);
/* Its host, and by which of the two an operator means it. */
const char *host_text(uint32_t id, char host[LEASE_NAME_MAX + 1]);
const char *meant_text(uint32_t id, char name[LEASE_NAME_MAX + 1]);
/* The fields of the record that hold the wishes; an empty text is no field. */
void wishes_text(const struct wishes *wishes, char pause[TEXT_SIZE], char ask[TEXT_SIZE],
                 char cordon[TEXT_SIZE]);
/* As of a record; the text is good until the fourth call after this one. */
const char *ident_text(const struct test *test, uint64_t incarnation);
const char *epoch_text(uint64_t config_epoch, char text[NUMBER_SIZE]);
const char *state_text(enum lease_state state);
void version_text(uint64_t version, char text[LEASE_NONCE_SIZE]);
void answer_text(const struct test *test, const struct message *answer, char *text);
/* Adds a line. */
void append_event_text(const struct test *test, const struct message *push, char *text);
/* The record and K. */
void data_text(const struct test *test, char *text);
void request_text(const struct test *test, const struct message *request, char *text);

/* ---- compare.c ---- */

/* Has both execute the request; tells of a difference. `*request` becomes the model's answer. */
void compare_call(struct test *test, struct message *request);
/* Compares the data of both. */
void compare_data(struct test *test);

/* ---- generator.c ---- */

/* Does the next step of the sequence. */
void generate_step(struct test *test);
/* Notes what step is to be done; it goes before it is done. */
void note(struct test *test, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- request.c: what a candidate may ask ---- */

void draw_request(struct test *test, struct message *request);

/* ---- covered.c ---- */

void cover(struct test *test, enum covered what);
/* Notes what the call was an example of. `before` is what it met. */
void cover_call(struct test *test, const struct data *before, const struct message *request,
                const struct message *answer);

#endif
