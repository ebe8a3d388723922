/*
 * The election: a pure state machine that decides when to lead.
 *
 * Events go in with the time, actions come out; there is no I/O, no clock and no allocation here,
 * so the same code runs in the program and in simulation. One machine stands for one candidate of
 * one lease on one server.
 *
 *     FOLLOWING -> ACQUIRING -> LEADING -> STOPPING -> RELEASING -> FOLLOWING | DONE
 *
 * What it guarantees: START is only ever returned with deadlines counted from the send of a request
 * that the server granted; RELEASE only after the tree, the health check beside it, and the hook
 * of --on-acquire, are known to be dead; and at each event the deadlines are looked at before
 * the event itself, so no late reply revives a term. Whatever fails, and whatever is pushed,
 * connections, requests and notes have a bound per second: ten and a few, or one in each
 * renew_retry_ms where that is shorter.
 *
 * What it does not: it trusts that the keeper enforces the deadlines of START and EXTEND by itself,
 * because the process that runs this machine may be stopped at any moment.
 */
#ifndef LEADERWRAP_ELECTION_ELECTION_H
#define LEADERWRAP_ELECTION_ELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/base/siphash.h"
#include "leaderwrap/election/jitter.h"
#include "leaderwrap/election/observation.h"
#include "leaderwrap/election/placement.h"
#include "leaderwrap/election/restart.h"
#include "leaderwrap/election/session.h"
#include "leaderwrap/election/timing.h"

enum election_state {
    ELECTION_FOLLOWING, /* waiting for grounds to ask for the lease */
    ELECTION_ACQUIRING, /* a request for the lease is on its way */
    ELECTION_LEADING,   /* the tree runs, or is about to */
    ELECTION_STOPPING,  /* the tree was told to end; it may still be alive */
    ELECTION_RELEASING, /* the tree is dead; the lease is being given back */
    ELECTION_DONE,
};

/* Why a term, or the whole candidacy, ended. */
enum election_end {
    END_NONE,
    END_COMMAND,       /* the command ended by itself */
    END_STOPPED,       /* we were asked to stop */
    END_DEADLINE,      /* no renewal came through in time */
    END_LOST,          /* another holder was found */
    END_KEEPER,        /* the keeper died or hangs */
    END_NOT_STARTED,   /* this host could not make a process for the command */
    END_CONFIGURATION, /* Redis refuses us, and did from the start */
    END_RUNTIME,       /* --max-runtime was over */
    END_UNHEALTHY,     /* its health checks failed */
    END_FAILED,        /* the command failed --max-restarts times in a row */
    END_PAUSED,        /* an operator wishes that nobody leads */
    END_CORDONED,      /* an operator wishes that this candidate does not lead */
    END_ASKED,         /* an operator asked this term to end */
    END_BUSY,          /* --once: another one has the lease, and --wait is over */
    END_FOREIGN,       /* --once: the key has a value that no leaderwrap wrote; --wait is over */
    END_UNREACHABLE,   /* --once: no answer from Redis, and --wait is over */
    END_KILLED,        /* the process that led was: see election_inherit */
};

#define ELECTION_ENDS (END_KILLED + 1) /* behind the last one */

/* What a person wants to be run beside the command, once in a term. */
enum election_hook {
    HOOK_ACQUIRE, /* when the command is started for the first time: dead before the release */
    HOOK_LOSE,    /* when the tree is dead */
};

#define ELECTION_HOOKS 2

/* A second stop means at once, unless it follows the first one so soon: a parent that hands on what
 * the terminal has sent to all of its group makes several signals of one request. */
#define ELECTION_STOP_ECHO_MS 500

struct election_config {
    struct timing timing;
    bool server_clock;      /* --takeover server-clock */
    bool witnesses;         /* there are some: see placement.h */
    bool assume_fresh;      /* --assume-fresh */
    bool exit_on_lost;      /* --on-lost exit */
    bool no_release;        /* --no-release: after a stop the lease is left to its TTL */
    bool once;              /* --once: one term at most, and no waiting for it beyond wait_ms */
    int64_t wait_ms;        /* INT64_MAX: for ever */
    int64_t hold_ms;        /* the lease is kept for at least so long after it was acquired */
    int64_t max_runtime_ms; /* of the command; 0: no limit */
    int64_t lock_delay_ms;  /* before the command, where the last term may not have been released */
    enum restart_policy restart;
    int64_t max_restarts;       /* failures in a row, then another node may try; 0: no limit */
    int64_t penalty_ms;         /* how long we stand back then */
    bool hooks[ELECTION_HOOKS]; /* those that there are */
    char id[LEASE_ID_SIZE];
    uint64_t seed;                       /* random, of the jitter */
    uint8_t nonce_key[SIPHASH_KEY_SIZE]; /* random and secret, another one in each process */
};

enum election_event_kind {
    EVENT_TICK,        /* time has passed */
    EVENT_OPENED,      /* the connection is up */
    EVENT_CLOSED,      /* it is down, or could not be made; `failure` */
    EVENT_REPLY,       /* `reply` */
    EVENT_PUSH,        /* `push`: a hint from the events channel */
    EVENT_VOTE,        /* `vote`, of one witness */
    EVENT_LISTENING,   /* the events channel is heard from now on; what was said before is not */
    EVENT_NOT_STARTED, /* no process could be made for the command; TREE_DEAD follows */
    EVENT_CHILD_EXIT,  /* the command's own process ended (`failed`); leftovers may live */
    EVENT_TREE_DEAD,   /* nothing of the tree is left */
    EVENT_TREE_STUCK,  /* the keeper is alive but cannot kill everything */
    EVENT_KEEPER_LOST,
    EVENT_UNHEALTHY,     /* the command of `run` is alive and of no use; `well_until_ns` */
    EVENT_CHECK_STARTED, /* a health check runs beside the tree, one at a time; CHECK_DEAD is owed
                          */
    EVENT_CHECK_DEAD,    /* nothing of it is left */
    EVENT_CHECK_STUCK,   /* its keeper is alive but cannot kill everything */
    EVENT_HOOK_OVER,     /* `hook`: nothing of it is left, or it will not be run */
    EVENT_STOP,          /* a person or an init system wants us to end; see ELECTION_STOP_ECHO_MS */
};

struct election_event {
    enum election_event_kind kind;
    int64_t now_ns; /* CLOCK_BOOTTIME; never less than in an earlier event */
    enum lease_failure failure;
    const struct lease_reply *reply; /* borrowed for the call, as the next two */
    const struct lease_event *push;
    const struct lease_vote *vote;
    /* CHILD_EXIT, TREE_*, UNHEALTHY, CHECK_*: the run it is about; others are ignored. */
    uint32_t run;
    enum election_hook hook;
    int64_t well_until_ns; /* UNHEALTHY: when it was last known to be of use */
    bool failed;           /* CHILD_EXIT: by a signal, or with another status than 0 */
};

/* What is to be done, and the member of struct election_action that says more. */
enum election_action_kind {
    ACTION_OPEN,  /* (re)open the connection, dropping any that is there */
    ACTION_SEND,  /* `send` */
    ACTION_POLL,  /* ask all witnesses where the master is; each answer is a vote in `poll` */
    ACTION_WATCH, /* begin to listen to the events channel */
    ACTION_UNWATCH,
    ACTION_START,          /* start the tree; `run` */
    ACTION_EXTEND,         /* `run` */
    ACTION_STOP_TREE,      /* politely; `run.number` */
    ACTION_KILL_TREE,      /* at once; `run.number` */
    ACTION_ABANDON_KEEPER, /* it missed the deadline: do its work */
    /* Run `hook` when no other one runs any more. HOOK_OVER is owed. */
    ACTION_RUN_HOOK,
    ACTION_KILL_HOOK,  /* HOOK_ACQUIRE has no more time */
    ACTION_KILL_HOOKS, /* at once: whatever hook runs or waits */
    ACTION_TELL,       /* `note`: something a person should know */
    ACTION_EXIT,       /* `end` */
};

/* What ACTION_TELL says, and the members of struct election_note that say more. The words are the
 * wrapper's. */
enum election_note_kind {
    NOTE_WAITING,        /* `refusal` */
    NOTE_BUSY,           /* the same, and there is no more waiting; `end` */
    NOTE_ELECTED,        /* `grant` */
    NOTE_LOCK_DELAY,     /* the same, but the command has to wait */
    NOTE_RENEWED,        /* `grant` */
    NOTE_RENEWAL_FAILED, /* `failure` */
    NOTE_ASK_FAILED,     /* the same of an acquire */
    NOTE_RELEASE_FAILED, /* the same of a release */
    NOTE_RETRY,          /* the connection failed; the next try is in `delay_ms` */
    NOTE_ELSEWHERE,      /* most witnesses name another master; the next try is in `delay_ms` */
    NOTE_UNPLACED,       /* no majority of the witnesses names any; `tally` */
    NOTE_TERM_ENDING,    /* `end`; of END_LOST also `record`, of an operator's wish `wish` */
    NOTE_RESTART,        /* the tree is dead, and starts again in `delay_ms` */
    NOTE_STAND_BACK,     /* because of `end` others may try for `delay_ms` */
    NOTE_TERM_OVER,      /* the tree is dead; `end` */
    NOTE_RELEASED,
    NOTE_NOT_HELD, /* nothing to release any more; `record` */
    NOTE_LEFT,     /* the lease is left to its TTL */
    /* HOOK_ACQUIRE of a term that is over cannot be killed: at the end of that term, and again when
     * the next one begins beside it. */
    NOTE_HOOK_ALIVE,
};

struct election_refusal {
    bool answered; /* with `record`; else what the last one said still holds */
    struct lease_record record;
    struct lease_wish wish; /* that keeps the asker from the lease, be it free or not */
    int64_t takeover_at_ns; /* when the lease may be had at the earliest, should nobody write the
                               record again; INT64_MAX where that is no matter of time */
};

struct election_grant {
    uint64_t token;
    struct deadlines deadlines;
    int64_t start_at_ns; /* of the command; INT64_MAX: it was started */
};

struct election_failure {
    bool answered;              /* else it may have been executed, or may be later */
    bool unconfirmed;           /* there was an answer, but no majority of the witnesses */
    char text[LEASE_TEXT_SIZE]; /* the error; empty: the answer fits no question */
};

struct election_tally {
    unsigned votes; /* for the name that most witnesses agree on */
    unsigned electorate;
};

struct election_note {
    enum election_note_kind kind;
    enum election_state state; /* in which the step that made it has ended */
    enum election_end end;
    union {
        struct election_refusal refusal;
        struct lease_record record; /* whose the lease is now */
        struct lease_wish wish;
        struct election_grant grant;
        struct election_failure failure;
        struct election_tally tally;
        int64_t delay_ms;
    };
};

struct election_send {
    struct lease_request request; /* of a release without a reason: `end` is */
    enum election_end end;
};

struct election_run {
    uint32_t number;
    uint64_t token;
    char version[LEASE_NONCE_SIZE]; /* the last one this term is known to have written in time */
    struct deadlines deadlines;
};

struct election_hook_run {
    enum election_hook hook;
    uint64_t token;
    enum lease_state before;    /* of HOOK_ACQUIRE: as of struct lease_reply; ABSENT: not known */
    enum election_end end;      /* of HOOK_LOSE */
    struct deadlines deadlines; /* EXTEND moves them as well */
};

struct election_action {
    enum election_action_kind kind;
    union {
        struct election_send send;
        uint64_t poll;
        struct election_run run;
        struct election_hook_run hook;
        struct election_note note;
        enum election_end end;
    };
};

#define ELECTION_ACTIONS_MAX 12

struct election_actions {
    size_t count;
    struct election_action list[ELECTION_ACTIONS_MAX];
};

/* What stands between a candidate and the lease, as far as it knows. */
enum election_obstacle {
    OBSTACLE_SILENCE, /* no answer so far, or none to the last question */
    OBSTACLE_HOLDER,  /* a living one, a hold, or an operator's wish */
    OBSTACLE_FOREIGN, /* a value in the key that no leaderwrap wrote */
    OBSTACLE_DOUBT,   /* an earlier holder may still be alive: that is out after a TTL */
};

/* Standing by: when to ask, and what to make of the answers. */
struct follow {
    int64_t answered_ns;         /* when the last reply came */
    int64_t hints_from_ns;       /* no push brings a question forward to before this */
    int64_t idle_hints;          /* in a row: after which nothing had changed */
    bool hinted;                 /* the next question, or the present one, is due to a push */
    bool saw_record;             /* there was one in an answer, ever */
    bool fresh_in_doubt;         /* a question that assumed so got no verdict: it may run yet */
    bool asked_with_observation; /* the last acquire carried a ripe observation */
    bool free_hint;              /* a release was pushed while a request was on its way */
    bool put_off;                /* a push has put the next question off, since the last answer */
    int64_t listeners;           /* how many follow, as a push has said; -1: none did */
    bool watching;
    uint64_t floor_token; /* the highest token seen */
    uint64_t used_token;  /* the highest token this process has led or given up with */
    int64_t ask_at_ns;
    int64_t stand_back_until_ns;  /* no question before this */
    bool stands_back_for_anybody; /* but only until another one leads */
    enum election_obstacle obstacle;
    int64_t silence_since_ns; /* OBSTACLE_SILENCE: when that began */
    int64_t began_ns;         /* what --wait counts from */
};

/* The present term, or the last one. */
struct term {
    uint64_t token;
    char version[LEASE_NONCE_SIZE]; /* of the record, as this term last wrote it in time */
    struct deadlines deadlines;
    enum lease_state before; /* how the record was until the grant */
    int64_t granted_ns;      /* when the grant was heard of; what --hold counts from */
    int64_t delay_until_ns;  /* what --lock-delay makes of it: no command before this */
    int64_t renew_at_ns;
    uint32_t run;            /* the present or the last one; counts on over all terms */
    bool tree;               /* of that run: something of it may be alive */
    bool check;              /* the same of a health check beside it */
    bool began_run;          /* the command was started in this term, or was to be */
    bool failed;             /* how the command of the last run ended */
    int64_t run_began_ns;    /* of the last run, as the next two */
    int64_t runtime_over_ns; /* INT64_MAX: never */
    int64_t well_until_ns;   /* where it became unhealthy */
    int64_t restart_at_ns;   /* no tree is there, and one is started then; INT64_MAX: no pause */
    struct restart restart;
    bool kill_sent;
    int64_t stuck_since_ns; /* INT64_MAX: it is not */
    int64_t abandon_at_ns;  /* the keeper is given up then; INT64_MAX: not yet decided, or done */
};

/* Giving the lease back. */
struct release {
    int64_t until_ns; /* it is given up then; INT64_MAX: never */
    bool in_doubt;    /* one got no answer, or an error: it may have been executed */
    bool restoring;   /* the record has to be written again before it can be released */
    int hooks_left[ELECTION_HOOKS]; /* HOOK_OVER is owed so many times, of this term or another */
    int64_t hooks_until_ns;         /* it waits until then for hooks to end by themselves */
    bool hook_killed;               /* HOOK_ACQUIRE had no more time, at `hook_killed_ns` */
    int64_t hook_killed_ns;
};

/* All of it is the machine's own; read-only to others. Each part is written by the file of its
 * name; `state` by the frame, election.c. */
struct election {
    struct election_config config;
    enum election_state state;
    int64_t now_ns;
    struct jitter jitter;
    uint64_t last_nonce; /* how many nonces there have been */
    struct session session;
    struct placement placement; /* of the session's link */
    struct observation observation;
    struct follow follow;
    struct term term;
    struct release release;
    enum election_end end; /* why the present term, or the candidacy, ends */
    bool stop_asked;
    int64_t stop_asked_ns; /* when it was for the first time */
};

/* Sets up a candidate at `now_ns`. Its first step should be a tick at the same time. */
void election_init(struct election *election, const struct election_config *config, int64_t now_ns);

/* A term whose process is dead, and its tree with it. */
struct election_legacy {
    uint64_t token;
    const char *version;    /* the last one that the term is known to have written */
    int64_t begun_ns;       /* CLOCK_BOOTTIME; what --hold counts from */
    int64_t valid_until_ns; /* until then nobody else can have led */
};

/* Sets up a machine that gives back the lease of `legacy`, for a bounded time, and does nothing
 * else: the last will of its leader, whose `config.id` is meant. Of the actions only OPEN, RENEW,
 * RELEASE, TELL and EXIT (END_KILLED) come. `config` needs a nonce_key of its own. */
void election_inherit(struct election *election, const struct election_config *config,
                      const struct election_legacy *legacy, int64_t now_ns);

/* Feeds one event and overwrites `actions` with what is to be done, in order. */
void election_step(struct election *election, const struct election_event *event,
                   struct election_actions *actions);

/* When the next EVENT_TICK is due at the latest, in ns of CLOCK_BOOTTIME; INT64_MAX for never. */
int64_t election_wake_at_ns(const struct election *election);

#endif
