/*
 * The simulated world: hosts with clocks, processes, a lossy network and modelled Redis servers,
 * run from one seed. The election code in it is the real one.
 *
 * Time is true time in ns since the schedule began, which nobody in the world can see; processes
 * see the clock of their host, servers their own.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/election/election.h"

#define HOSTS_MAX     5
#define PROCESSES_MAX 32
#define QUEUE_MAX     2048
#define MESSAGES_MAX  1024
#define SNAPSHOTS     64
#define NEVER         INT64_MAX
#define SIM_WALL_US   INT64_C(1700000000000000) /* what the servers' clocks say at first */

#define FOREIGN_ID UINT32_C(0xFFFFFFFF) /* the id of a client that is not leaderwrap */
#define PAUSE_SIGN UINT32_C(0xFFFFFFF0) /* what K has in it instead of an id while it is paused */
#define NO_NAME    UINT8_MAX
#define ASKED_MAX  32

/* ---- what can go wrong, for the statistics ---- */

enum fault {
    FAULT_RESTART_KEPT,
    FAULT_RESTART_EMPTY,
    FAULT_RESTART_ROLLED_BACK,
    FAULT_PROMOTION,         /* of a lagging replica; the old master is dead from then on */
    FAULT_PROMOTION_SERVING, /* the same, the old master goes on serving for a while */
    FAULT_FAIL_BACK,         /* to such an old master, which was never told that it was replaced */
    FAULT_NEW_EPOCH,         /* the master takes one, and nothing else happens */
    FAULT_WITNESSES_DOWN,    /* some of them, or most */
    FAULT_WITNESSES_CUT,     /* a host cannot reach some of them */
    FAULT_REPROMOTION,       /* demoted and promoted again: same process, older data */
    FAULT_NEW_REPLID,
    FAULT_SERVER_FREEZE,
    FAULT_CLIENT_PAUSE,
    FAULT_CLOCK_FORWARD,
    FAULT_CLOCK_BACK,
    FAULT_FLUSHALL,
    FAULT_DEL_HOLDER,
    FAULT_DEL_TERM,
    FAULT_FOREIGN_HOLDER,
    FAULT_ERRORS,   /* a time of error replies, some of them to requests that were executed */
    FAULT_HANGS_UP, /* a server, or a proxy, that hangs up after each answer or at once */
    FAULT_PARTITION_DROPS,
    FAULT_PARTITION_DELAYS,
    FAULT_CONNECTION_CLOSED,
    FAULT_ELECTOR_KILLED,
    FAULT_BOTH_KILLED,
    FAULT_HOST_CRASH,
    FAULT_ELECTOR_FROZEN,
    FAULT_ELECTOR_STALL, /* frozen between a decision and its execution */
    FAULT_KEEPER_FROZEN,
    FAULT_KEEPER_KILLED,
    FAULT_SUSPEND,
    FAULT_STOP,
    FAULT_STOP_TWICE,
    FAULT_PAUSE, /* by an operator, as the next two */
    FAULT_STEP_DOWN,
    FAULT_CORDON,
    FAULTS_INJECTED,
    /* The rest happens on the way. */
    FAULT_REQUEST_LOST = FAULTS_INJECTED,
    FAULT_REPLY_LOST,
    FAULT_REQUEST_DELAYED,
    FAULT_REPLY_DELAYED,
    FAULT_REPLY_STALE, /* delivered although its connection was given up */
    FAULT_PUSH_LOST,
    FAULT_PUSH_DELAYED,
    FAULT_PUSH_REPEATED,
    FAULT_PUSH_FORGED, /* by a stranger, who may go on for ever */
    FAULT_COMMAND_ENDS,
    FAULT_COMMAND_SLOW,
    FAULT_COMMAND_DEAF, /* ignores TERM */
    FAULT_COMMAND_FORKS,
    FAULT_COMMAND_STUCK, /* survives KILL for a while */
    FAULT_COMMAND_UNHEALTHY,
    FAULT_HOOK_STUCK,
    FAULT_CHECK_OUTLIVES, /* survives its kill for a while */
    FAULT_EXEC_FAILS,
    FAULT_FORK_FAILS,
    FAULTS,
};

extern const char *const fault_names[FAULTS];

enum violation {
    VIOLATION_NONE,
    VIOLATION_OVERLAP, /* two trees alive at the same time */
    VIOLATION_TOKEN,   /* a tree started with a token not above all earlier ones */
    VIOLATION_RELEASE, /* sent while the tree, or the hook of --on-acquire, was alive */
    VIOLATION_UNKNOWN, /* a tree started without a granted request of its own */
    VIOLATION_DELAY,   /* a tree started within a lock delay */
    VIOLATION_HOLD,    /* a tree started within a hold that is on record */
    VIOLATION_LEFT,    /* a dead term's record left to its TTL though it could be released */
    VIOLATION_LOST,    /* a term given up as lost without a foreign holder or a higher token */
    VIOLATION_ASKED,   /* an operator's wish that was not heeded, or one that nobody had */
    VIOLATION_HASTE,   /* a tree killed without its grace by the echo of a first stop */
    VIOLATION_LIVENESS,
    VIOLATION_FLOOD,   /* too many connections, requests or notes in one second */
    VIOLATION_RUNAWAY, /* far too many events, or actions */
    VIOLATION_BROKEN,  /* the machine itself: it crashed, or an invariant does not hold */
    VIOLATIONS,
};

extern const char *const violation_names[VIOLATIONS];

struct statistics {
    uint64_t schedules;
    uint64_t simulated_ms;
    uint64_t events;
    uint64_t steps;     /* of the election */
    uint64_t elections; /* trees started */
    uint64_t takeovers; /* by another candidate than the one before */
    uint64_t claims;    /* grants whose answer was lost, taken up later */
    uint64_t delays;    /* terms that began with a lock delay */
    uint64_t releases;
    uint64_t renewals;
    uint64_t wills;
    uint64_t abandoned;       /* keepers given up */
    uint64_t overlaps;        /* only counted where they are allowed */
    uint64_t longest_wait_ms; /* for a leader after the last fault */
    uint64_t faults[FAULTS];
};

/* ---- events of the simulation ---- */

enum happening {
    HAPPEN_WAKE, /* the elector's timer */
    HAPPEN_OPENED,
    HAPPEN_CLOSED,
    HAPPEN_REPLY,
    HAPPEN_VOTE,
    HAPPEN_PUSH,
    HAPPEN_REPORT,
    HAPPEN_ACK_DUE,
    HAPPEN_KEEPER_LOST,
    HAPPEN_SWEPT,
    HAPPEN_STOP,
    HAPPEN_UNSTALL,
    HAPPEN_UNHEALTHY, /* what the checks of the command come to */
    HAPPEN_HOOK_OVER,
    HAPPEN_PROBE, /* a health check is due */
    HAPPEN_PROBE_OVER,
    HAPPEN_SUBSCRIBE,
    HAPPEN_REQUEST, /* to the keeper */
    HAPPEN_HANGUP,
    HAPPEN_KEEPER_WAKE,
    HAPPEN_MAIN_EXIT,
    HAPPEN_REST_EXIT,
    HAPPEN_KILLED,
    HAPPEN_HOOK_EXIT,
    HAPPEN_PROBE_EXIT,
    HAPPEN_WILL,
    HAPPEN_EXECUTE, /* a request has reached its server */
    HAPPEN_ACKNOWLEDGED,
    HAPPEN_ASKED,   /* a witness is */
    HAPPEN_LEARNED, /* it hears of a fail-over */
    HAPPEN_SERVER_UP,
    HAPPEN_SERVER_DEATH,
    HAPPEN_PROCESS,
    HAPPEN_RESUME,
    HAPPEN_CHECK,
    HAPPEN_STRANGER, /* somebody else publishes on the channel */
    HAPPEN_LIFTED,   /* the last pause is taken back */
    HAPPEN_FAULT,
    HAPPEN_QUIET,
    HAPPEN_END,
};

#define NOBODY     UINT8_MAX
#define NO_MESSAGE UINT16_MAX

struct event {
    int64_t at;
    uint32_t order; /* events of one time happen in the order in which they were made */
    uint8_t kind;
    uint8_t process; /* or host, or server */
    uint16_t message;
    uint32_t serial; /* of the process */
    uint32_t value;
};

/* ---- messages ---- */

enum message_kind {
    MESSAGE_ACQUIRE,
    MESSAGE_RENEW,
    MESSAGE_RELEASE,
    MESSAGE_PUSH,
    MESSAGE_KEEPER,
    MESSAGE_VOTE,
};

/* What the scripts write as the incarnation: replid, and the config-epoch of the placement, as
 * numbers of 48 and 16 bits. */
static inline uint64_t incarnation_under(uint64_t server, uint64_t config_epoch)
{
    return server | config_epoch << 48;
}

static inline uint64_t incarnation_epoch(uint64_t incarnation)
{
    return incarnation >> 48;
}

static inline uint64_t incarnation_base(uint64_t incarnation)
{
    return incarnation & (UINT64_MAX >> 16);
}

/* A record, with ids, incarnations and nonces as numbers. */
struct record {
    bool missing;
    enum lease_state state;
    uint32_t id;
    uint64_t token;
    uint64_t version;
    uint64_t incarnation;
    int64_t ttl_ms;
    int64_t at_ms;
    int64_t hold_until_ms;
    int64_t hold_ms; /* how long that was as it began */
    uint64_t base;   /* the version that this one goes back to without a gap; 0: none */
};

/* What an operator wishes. Whoever is meant is meant by name. */
struct wishes {
    bool pause;
    int64_t pause_at_ms;
    int64_t pause_ms;   /* 0: until further notice */
    uint64_t ask_token; /* 0: no term is asked to end */
    int64_t ask_at_ms;
    int64_t ask_ms;
    uint8_t ask_to;   /* NO_NAME: nobody is to have it next */
    uint32_t cordons; /* a bit for each name */
};

struct message {
    enum message_kind kind;
    uint8_t process;
    uint32_t serial;
    uint32_t epoch;    /* of the connection */
    uint32_t instance; /* of the server process */

    /* the request */
    uint64_t request;
    uint64_t nonce;
    uint64_t config_epoch; /* that the server is placed under; 0: there are no witnesses */
    uint64_t token;        /* or the floor */
    uint64_t observed_incarnation;
    uint64_t observed_version;
    int64_t observed_ms;
    int64_t seen_hold_ms; /* what is left of the hold that it has seen */
    uint64_t version;     /* of the record, as the term last wrote it in time */
    bool claim;
    uint32_t id;
    int64_t ttl_ms;
    int64_t hold_ms;
    bool server_clock;
    bool assume_fresh;
    bool may_not_set;
    uint8_t name;

    /* the answer, or what is published */
    enum lease_verdict verdict;
    enum lease_failure failure;
    struct record record;
    enum lease_state before; /* granted: of the record until then */
    int64_t age_ms;
    int64_t hold_left_ms;
    bool foreign;
    int64_t listeners;
    enum lease_wish_kind wish;
    int64_t wish_left_ms;

    /* to a witness, and its vote */
    uint64_t poll;
    uint8_t witness;
    uint8_t named; /* the server that it names */

    /* to the keeper */
    uint32_t keeper_kind;
    uint32_t run;
    uint32_t sequence;
    int64_t stop_at_ns;
    int64_t kill_at_ns;
};

/* ---- servers ---- */

struct data {
    struct record record;
    struct wishes wishes;
    uint32_t holder; /* the value of K; 0: none */
    int64_t holder_expires_ms;
};

struct snapshot {
    int64_t at;
    struct data data;
};

enum error_kind {
    ERROR_REFUSED,       /* transient, not executed */
    ERROR_EXECUTED,      /* transient, executed all the same */
    ERROR_SET_REFUSED,   /* nobody may write K */
    ERROR_ROLE,          /* not a master */
    ERROR_CONFIGURATION, /* a password was changed, say */
    ERROR_KINDS,
};

struct server {
    struct data data;
    bool up;
    bool detached;        /* its replica was promoted: nobody acknowledges its writes any more */
    uint32_t instance;    /* of the process: a new one knows none of the old connections */
    uint64_t incarnation; /* replid */
    int64_t wall_us;      /* what its clock said at true time 0 */
    int64_t rate_ppm;
    int64_t frozen_until;
    int64_t errors_until;
    enum error_kind errors;
    int64_t hangs_up_until;
    bool hangs_up_at_once;
};

/* ---- witnesses ---- */

#define WITNESSES_MAX 5

/* What it knows of the last fail-over; it never goes back. */
struct witness {
    uint8_t server;
    uint64_t config_epoch;
    int64_t down_until;
};

/* ---- hosts and processes ---- */

struct host {
    int64_t clock_ns; /* CLOCK_BOOTTIME at true time 0 */
    int64_t rate_ppm;
    int64_t slept_ns; /* what CLOCK_MONOTONIC has missed */
    int64_t suspended_until;
    int64_t latency_ns;
    int64_t blocked_until[2]; /* the network, by direction */
    bool drops;
    uint32_t unreachable; /* witnesses, a bit for each, until `unreachable_until` */
    int64_t unreachable_until;
    uint8_t process; /* NOBODY while none runs */
    bool start_due;
    struct timing timing;
    bool server_clock;
    bool no_release;
    bool exit_on_lost;
    bool once;
    int64_t wait_ms;
    int64_t max_runtime_ms;
    enum restart_policy restart;
    int64_t max_restarts;
    bool checks_health;
    bool hooks[ELECTION_HOOKS];
    bool assume_fresh;
    bool may_not_set; /* it has no right to write K */
    int64_t hold_ms;
    int64_t lock_delay_ms;
};

enum direction {
    OUT,
    BACK,
};

/* What an elector waits for. After a freeze each has its own moment of coming to life. */
enum channel {
    CHANNEL_TIMER,
    CHANNEL_SERVER,
    CHANNEL_WATCH,
    CHANNEL_KEEPER,
    CHANNEL_SIGNAL,
    CHANNELS,
};

struct connection {
    uint32_t epoch;
    uint32_t instance;
    uint8_t server;
    bool open;
    bool broken; /* a packet was lost for good: nothing of it arrives any more */
    int64_t last[2];
};

enum run_state {
    RUN_IDLE,
    RUN_RUNNING,
    RUN_STOPPING,
    RUN_LEFTOVERS,
    RUN_SWEEPING,
};

struct keeper {
    bool alive;
    bool alone;
    bool orphaned;
    bool latched;
    bool exit_told;
    int64_t ready_at; /* true time; later than now: frozen */
    int64_t armed_at;
    enum run_state state;
    uint32_t run;
    uint64_t token;
    uint64_t version;
    int64_t begun_ns; /* these by the host's clock */
    int64_t stop_at_ns;
    int64_t kill_at_ns;
    int64_t sweep_at_ns;
};

struct tree {
    bool main;
    bool rest; /* descendants that outlive the main process */
    bool killed;
    bool stuck;
    uint32_t serial;
    uint64_t token;
    int64_t exempt_until; /* after a resume it has this long to be killed */
    int64_t main_term_ns; /* from TERM to its end; NEVER: ignores it */
    int64_t rest_term_ns;
};

enum link_state {
    LINK_UP,
    LINK_LOST,
    LINK_SWEEP,
    LINK_SWEPT,
};

struct hooks {
    bool busy;
    bool waiting;
    enum election_hook current;
    enum election_hook next;
    uint32_t serial;
    int64_t end_at;
};

/* What an elector did in the second that began at `since`. */
struct pace {
    int64_t since;
    int opens;
    int requests;
    int notes;
};

/* The elector's end of the keeper. */
struct keeper_end {
    enum link_state state;
    uint32_t sent;
    uint32_t acknowledged;
    uint32_t in_flight;
    int64_t waiting_since_ns;
};

/* A health check. */
struct probe {
    bool alive;
    bool known; /* the elector has not heard of its end: no other begins */
    uint32_t serial;
    uint32_t run;
};

struct process {
    bool used;
    bool elector; /* alive */
    bool is_will; /* the last will of the one that was */
    bool watching;
    uint8_t host;
    uint32_t serial;
    uint32_t id;
    uint32_t subscribed; /* instance of the server */
    int64_t ready_at[CHANNELS];
    int64_t armed_at;
    int64_t last_push;
    struct election election;
    struct connection connection;
    struct keeper_end link;
    struct keeper keeper;
    struct tree tree;
    struct hooks hooks;
    struct probe probe;
    int64_t stopped_ns; /* when it was first asked to stop, on the host's clock; 0: not yet */
    bool lost;          /* its term ended as lost */
    struct pace pace;
    uint64_t confirmed_token; /* of the last positive answer that was delivered */
    uint64_t delayed_token;   /* of the last grant after an unclean end */
    int64_t delayed_until;    /* no command of that term starts before */
    struct election_actions stalled;
    size_t stalled_from;
};

struct plan {
    int hosts;
    bool wait_replicas; /* WAIT before a write counts */
    int witnesses;      /* how many; 0: nobody can be asked */
    bool wild_clock;    /* the servers' clocks are stepped by hours, but no data is lost */
    bool steady_clock;
    bool serving_without_wait; /* outside the promise: overlaps are only counted */
    bool stale_replies;
    bool stalls;
    uint64_t faults; /* a bit for each kind that may be injected */
    int64_t fault_every_ns;
    int64_t stranger_every_ns; /* 0: there is none */
    bool stranger_renews;      /* and says nothing else */
    bool stranger_guesses;     /* nothing but what the next version might be */
    int64_t onlookers;         /* who listen as candidates do, and are none */
    int64_t replica_lag_ns;
    int64_t quiet_at;
    bool last_pause;  /* from then on nobody is to lead for as long as it could take */
    int64_t led_from; /* somebody is to lead at `bound_ns` from here */
    int64_t bound_ns;
    int64_t ttl_ns;          /* the longest */
    int64_t clock_window_us; /* the servers' clocks differ by no more, unless they are wild */
    uint32_t loss_ppm;
    uint32_t delay_ppm;
    uint32_t push_trouble_ppm;
    uint32_t command_end_ppm;
    uint32_t command_trouble_ppm;
};

struct world {
    uint64_t random;
    int64_t now;
    bool tracing;
    bool over;
    struct plan plan;
    struct host hosts[HOSTS_MAX];
    struct process processes[PROCESSES_MAX];
    struct server servers[2];
    int master;
    struct witness witnesses[WITNESSES_MAX];
    uint64_t config_epoch; /* of the master */
    uint32_t last_instance;
    uint32_t last_replid;
    uint32_t last_process;
    uint64_t highest_token;
    uint64_t asked[ASKED_MAX]; /* terms that an operator asked to end, the last ones */
    uint32_t asked_count;
    uint32_t last_leader;
    int64_t leader_at;     /* when one was first confirmed after the last fault */
    int64_t held_until;    /* no command before this, for a hold on record */
    uint64_t held_token;   /* of the term that left it */
    int64_t delayed_until; /* where all have the same lock delay: no command at all before this */
    uint64_t event_count;

    enum violation violation;
    char violation_text[200];

    struct event queue[QUEUE_MAX];
    uint32_t queued;
    uint32_t last_order;
    struct message messages[MESSAGES_MAX];
    uint16_t free_messages[MESSAGES_MAX];
    uint32_t free_message_count;
    struct snapshot snapshots[SNAPSHOTS];
    uint32_t snapshot_count;

    struct lease_reply reply; /* what is being delivered */
    struct lease_event push;
    struct statistics *statistics;
};

/* As events name it. */
static inline uint8_t process_number(const struct world *world, const struct process *process)
{
    return (uint8_t)(process - world->processes);
}

/* ---- queue.c ---- */

void queue_reset(struct world *world);
/* Makes an event about a process (or a host, or a server) happen at `at`, but never in the past. */
void queue_event(struct world *world, int64_t at, enum happening kind, uint8_t process,
                 uint32_t value);
void queue_message(struct world *world, int64_t at, enum happening kind, uint8_t process,
                   uint16_t message);
/* Makes `event` happen again, later. */
void queue_again(struct world *world, const struct event *event, int64_t at);
bool queue_next(struct world *world, struct event *event);
uint16_t message_new(struct world *world, enum message_kind kind);
void message_free(struct world *world, uint16_t message);

uint64_t draw(struct world *world);
/* From `low` to `high`, both included. */
int64_t between(struct world *world, int64_t low, int64_t high);
bool chance(struct world *world, uint32_t ppm);

/* ---- host.c ---- */

uint64_t read_hex(const char *text);
int64_t host_clock(const struct world *world, const struct host *host);
/* The true time at which the host's clock will say `clock_ns`, if it is not suspended before. */
int64_t host_when(const struct world *world, const struct host *host, int64_t clock_ns);
void host_suspend(struct world *world, uint8_t number, int64_t until);
void host_resume(struct world *world, uint8_t number);
void host_crash(struct world *world, uint8_t number);
void host_start_process(struct world *world, uint8_t number);
void host_start_later(struct world *world, uint8_t number, int64_t most_ns);
/* A duration of at most `most`, short of the end of all faults. */
int64_t until_at_most(struct world *world, int64_t most_ns);

/* ---- network.c ---- */

/* When a packet that `host` sends or is sent now arrives; -1: never. */
int64_t network_arrival(struct world *world, struct host *host, struct connection *connection,
                        enum direction direction);
void network_open(struct world *world, struct process *process);
void network_opened(struct world *world, struct process *process, uint32_t epoch);
void network_server_gone(struct world *world, uint32_t instance);
void network_subscribe(struct world *world, struct process *process);
/* What a stranger says on the channel, now and again. */
void network_publish_forged(struct world *world);
void network_publish(struct world *world, const struct server *server, const struct message *push);

/* ---- server.c ---- */

void server_start(struct world *world, struct server *server, bool same_process);
int64_t server_us(const struct world *world, const struct server *server);
/* The data of about `lag_ns` ago; an empty server if that is before all history. */
struct data server_data_before(const struct world *world, int64_t lag_ns);
void server_note_write(struct world *world, const struct server *server);
struct server *server_of(struct world *world, uint32_t instance);
/* Whether it closes each connection behind the first answer. */
bool server_hangs_up(struct world *world, uint32_t instance);
void server_execute(struct world *world, const struct event *event);
void server_acknowledged(struct world *world, uint16_t number);

/* ---- witness.c ---- */

void witnesses_reset(struct world *world);
/* The present master is a new one. Each witness hears of it at a time of its own. */
void witnesses_fail_over(struct world *world);
void witness_learned(struct world *world, uint32_t news);
/* All are asked by `process`, in poll number `poll`. */
void witnesses_poll(struct world *world, struct process *process, uint64_t poll);
void witness_asked(struct world *world, uint16_t number);
void witness_vote(struct world *world, struct process *process, uint16_t number);
/* The server that one of them names. */
uint8_t witnesses_route(struct world *world);
bool witnesses_go_down(struct world *world);
bool witnesses_cut(struct world *world);

/* ---- script.c: what the scripts do ---- */

void script_run(struct world *world, struct server *server, struct message *message);

/* ---- elector.c ---- */

void elector_feed(struct world *world, struct process *process, struct election_event *event);
void elector_tick(struct world *world, struct process *process);
void elector_reply(struct world *world, struct process *process, uint16_t number);
void elector_push(struct world *world, struct process *process, uint16_t number);
void elector_stop(struct world *world, struct process *process);
void elector_unhealthy(struct world *world, struct process *process);
void elector_unstall(struct world *world, struct process *process);
/* Freezes it until `until`; what happens meanwhile waits. */
void elector_freeze(struct world *world, struct process *process, int64_t until);
/* The kernel lets either the elector or the keeper run within the margin: whether the one may be
 * frozen now, or the keeper may be frozen or die. */
bool elector_may_freeze(const struct world *world, const struct process *process);
bool keeper_may_freeze(const struct world *world, const struct process *process);
void elector_die(struct world *world, struct process *process);
/* The last will: the same machine, begun at the release. */
void elector_inherit(struct world *world, struct process *process);
int64_t process_margin_ns(const struct world *world, const struct process *process);

/* ---- link.c: the elector's end of the keeper ---- */

void link_send(struct world *world, struct process *process, uint32_t kind,
               const struct election_action *action);
void link_acknowledge(struct world *world, struct process *process, uint32_t sequence);
void link_check_ack(struct world *world, struct process *process);
void link_lose(struct world *world, struct process *process);
void link_lost(struct world *world, struct process *process);
void link_swept(struct world *world, struct process *process);
void link_report(struct world *world, struct process *process, uint32_t kind, uint32_t run);

/* ---- keeper.c ---- */

void keeper_request(struct world *world, struct process *process, uint16_t number);
void keeper_hangup(struct world *world, struct process *process);
void keeper_wake(struct world *world, struct process *process);
void keeper_kill(struct world *world, struct process *process);

/* ---- tree.c ---- */

bool tree_alive(const struct tree *tree);
void tree_start(struct world *world, struct process *process, uint64_t token);
void tree_term(struct world *world, struct process *process);
void tree_kill(struct world *world, struct process *process, bool by_keeper);
void tree_killed(struct world *world, struct process *process, uint32_t value);
void tree_main_exit(struct world *world, struct process *process);
void tree_rest_exit(struct world *world, struct process *process);
void tree_vanish(struct world *world, struct process *process);
void tree_check_overlaps(struct world *world);

/* ---- hooks.c ---- */

/* Whether HOOK_ACQUIRE is alive, which no release may see. */
bool hook_acquire_lives(const struct process *process);
void hook_run(struct world *world, struct process *process, enum election_hook hook);
void hook_kill(struct world *world, struct process *process);
void hook_kill_all(struct world *world, struct process *process);
void hook_exit(struct world *world, struct process *process);
void hook_over(struct world *world, struct process *process, enum election_hook hook);
void hook_swept(struct world *world, struct process *process);

/* ---- checks.c ---- */

/* The command was started: its health is checked from now on. */
void probe_follow(struct world *world, struct process *process);
void probe_begin(struct world *world, struct process *process);
void probe_exit(struct world *world, struct process *process);
void probe_over(struct world *world, struct process *process, uint32_t run);
void probe_orphan(struct world *world, struct process *process);
void probe_swept(struct world *world, struct process *process);

/* ---- faults.c ---- */

void faults_inject(struct world *world);
/* Whether the server is another one afterwards, or has forgotten what it knew. */
bool loses_data(enum fault fault);
void faults_end(struct world *world);
void count_fault(struct world *world, enum fault fault);

/* ---- operator.c ---- */

bool operator_acts(struct world *world, enum fault fault);
/* With the last fault all wishes end, but for the last pause, which is lifted later. */
void operator_ends(struct world *world);
void operator_lifts(struct world *world);
/* Nobody steps down who was not asked to. */
void operator_check_end(struct world *world, const struct process *process,
                        const struct election_note *note);

/* ---- schedule.c ---- */

/* Runs the schedule of `seed`. The world is overwritten. */
void schedule_run(struct world *world, uint64_t seed, bool serving_without_wait, bool tracing);
/* Notes the first violation; false for a later one. */
bool violate(struct world *world, enum violation violation);
void trace_violation(const struct world *world);

#define VIOLATE(world, violation, ...)                                                             \
    do {                                                                                           \
        if (violate(world, violation)) {                                                           \
            snprintf((world)->violation_text, sizeof(world)->violation_text, __VA_ARGS__);         \
            trace_violation(world);                                                                \
        }                                                                                          \
    } while (0)

/* ---- trace.c ---- */

/* Begins a line of the timeline about a process, or about none (NULL). */
void trace_begin(const struct world *world, const struct process *process);
void trace_action(const struct world *world, const struct process *process,
                  const struct election_action *action);
void trace_answer(const struct world *world, const struct message *message);

#define TRACE(world, process, ...)                                                                 \
    do {                                                                                           \
        if ((world)->tracing) {                                                                    \
            trace_begin(world, process);                                                           \
            printf(__VA_ARGS__);                                                                   \
            putchar('\n');                                                                         \
        }                                                                                          \
    } while (0)

#endif
