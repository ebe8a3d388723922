/*
 * The lease record as every part of leaderwrap sees it: what the scripts answer and what the
 * events channel says. Plain values of fixed size, no ownership.
 */
#ifndef LEADERWRAP_BASE_LEASE_H
#define LEADERWRAP_BASE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#define LEASE_NAME_MAX         64                            /* bytes of --name */
#define LEASE_ID_SIZE          (LEASE_NAME_MAX + 1 + 16 + 1) /* name '#' 16 hex digits, NUL */
#define LEASE_INCARNATION_SIZE (40 + 1 + 20 + 1)             /* as of prelude.lua, NUL */
#define LEASE_NONCE_SIZE       (16 + 1)                      /* 16 hex digits, NUL */
#define LEASE_COMMAND_SIZE     (8 + 1)                       /* 8 hex digits, NUL */
#define LEASE_TEXT_SIZE        256                           /* an error text, cut to fit */
#define LEASE_BY_SIZE          (64 + 1)                      /* who has a wish, user@host */
#define LEASE_WISH_SIZE        (128 + 1)                     /* what more it says */

/* `st` of the record. ABSENT: the server has no record (only inside an answer that refused). */
enum lease_state {
    LEASE_ABSENT,
    LEASE_FREE,
    LEASE_HELD,
    LEASE_CLOSED, /* released, but kept closed until a server time (--hold) */
    LEASE_VACANT, /* nobody knows whether an earlier holder still runs */
};

/* The record, named by two of its fields: `version`, which is the nonce of the request that wrote
 * it, and `incarnation`, that of the server (its field `incarnation`). Strings are NUL-terminated,
 * possibly empty, and cut to their size. */
struct lease_record {
    enum lease_state state;
    uint64_t token; /* fencing token; 0 if there never was one */
    int64_t ttl_ms;
    int64_t age_ms;       /* server time since the last write */
    int64_t hold_left_ms; /* until a hold ends, by the server's clock; 0: there is none */
    int64_t hold_ms;      /* how long it was to be when this version was written; 0: none */
    char id[LEASE_ID_SIZE];
    char name[LEASE_NAME_MAX + 1];
    char incarnation[LEASE_INCARNATION_SIZE];
    char version[LEASE_NONCE_SIZE];
    char command[LEASE_COMMAND_SIZE]; /* fingerprint of the last holder's; empty: not told */
    /* The value of K where it is neither the record's id nor the asker's: a foreign client holds
     * the key. Empty if not. */
    char foreign[LEASE_ID_SIZE];
};

enum lease_request_kind {
    LEASE_ACQUIRE,
    LEASE_RENEW,
    LEASE_RELEASE,
};

struct lease_acquire {
    uint64_t floor_token;  /* the highest token ever seen */
    bool never_saw_record; /* --assume-fresh counts only then */
    /* The version that was observed, empty if none was, and for how long it has been unchanged. */
    char observed_incarnation[LEASE_INCARNATION_SIZE];
    char observed_version[LEASE_NONCE_SIZE];
    int64_t observed_ms;
    int64_t hold_left_ms; /* of the hold of that version, by the asker's own count */
};

struct lease_renew {
    uint64_t token;
    char version[LEASE_NONCE_SIZE]; /* as of struct lease_release; or empty */
    bool claim; /* the term is a grant whose answer was lost, and no deadline of its own is kept
                   yet: it is taken up only where the record still is as the grant left it */
};

struct lease_release {
    uint64_t token;
    char version[LEASE_NONCE_SIZE]; /* the last nonce that this term is known to have written */
    int64_t hold_ms;    /* > 0 keeps the lease closed to everybody for that long from now */
    const char *reason; /* for the history; borrowed; NULL: none */
};

/* What is asked of the server. */
struct lease_request {
    enum lease_request_kind kind;
    uint64_t epoch;               /* of the placement that it is sent under; 0: none */
    uint64_t number;              /* the answer has the same */
    char nonce[LEASE_NONCE_SIZE]; /* fresh for each: the version that it writes */
    int64_t patience_ms;          /* after which it is given up */
    union {
        struct lease_acquire acquire;
        struct lease_renew renew;
        struct lease_release release;
    };
};

/* What a request came to. */
enum lease_verdict {
    LEASE_GRANTED,  /* acquire: the lease is ours, with record.token */
    LEASE_REFUSED,  /* acquire: not now; record says why */
    LEASE_RENEWED,  /* renew: the record is ours, as of this request */
    LEASE_LOST,     /* renew: proof of a higher token or a foreign holder; record says who */
    LEASE_RELEASED, /* release: done */
    LEASE_NOT_HELD, /* release: the record is not this term's any more; nothing to do */
    LEASE_FAILED,   /* an error reply: see `failure` and `text` */
};

/* The classes of failure (redis/errors). Every failure may have been executed all the same. */
enum lease_failure {
    LEASE_FAILURE_NONE,
    LEASE_FAILURE_TRANSIENT,     /* wait and ask again */
    LEASE_FAILURE_ROLE,          /* not a master: resolve the address again */
    LEASE_FAILURE_CONFIGURATION, /* password, permission, wrong type: a person must act */
};

/* What an operator wishes of the asker (leaderctl). A wish gives nobody the lease. */
enum lease_wish_kind {
    LEASE_WISH_NONE,
    LEASE_WISH_PAUSED,    /* nobody is to lead; `text` is why, or empty */
    LEASE_WISH_CORDONED,  /* the asker is not to lead */
    LEASE_WISH_STEP_DOWN, /* the term is to end, and `text`, where it is not empty, to lead next */
};

struct lease_wish {
    enum lease_wish_kind kind;
    int64_t left_ms; /* 0: until it is taken back */
    char by[LEASE_BY_SIZE];
    char text[LEASE_WISH_SIZE];
};

struct lease_reply {
    uint64_t request; /* the number given with the request */
    enum lease_verdict verdict;
    enum lease_failure failure;
    struct lease_record record;
    struct lease_wish wish;     /* of LEASE_REFUSED and LEASE_RENEWED */
    enum lease_state before;    /* LEASE_GRANTED: of the record until then; else ABSENT */
    char text[LEASE_TEXT_SIZE]; /* LEASE_FAILED: the error, ready to be shown */
    char
        warning[LEASE_TEXT_SIZE]; /* a side effect that was refused (history, events); else empty */
};

/* Where one witness says that the master of the key is. A witness is a sentinel, or a master of the
 * cluster; the *placement* is an address and the config-epoch (0 where there is none) that it has
 * there: no two fail-overs have the same. */
struct lease_vote {
    uint64_t poll;       /* the number given with the question */
    unsigned witness;    /* which one: below `electorate`, and the same one throughout a poll */
    unsigned electorate; /* how many witnesses there are, whether they answer or not */
    uint64_t placement;  /* stands for an address and an epoch; 0: it names none */
    uint64_t epoch;
    bool here; /* it is the address that the present connection goes to */
};

/* What the events channel said. A hint: it may be missing, repeated or late. */
struct lease_event {
    enum lease_state state; /* the record's state after the write: HELD, FREE, CLOSED or VACANT */
    uint64_t token;
    int64_t ttl_ms;
    int64_t listeners; /* subscribers at the time, -1 where the server would not say */
    char incarnation[LEASE_INCARNATION_SIZE];
    char version[LEASE_NONCE_SIZE];
    char name[LEASE_NAME_MAX + 1];
};

#endif
