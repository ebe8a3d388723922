/*
 * The lease protocol, to be checked exhaustively by Spin; `run` does it and prints a table.
 *
 * A lease record in Redis, candidates that ask for it, a keeper beside each of them that kills the
 * process tree at its deadline, a network that delays and loses, and a server that loses or rolls
 * back its data. Names are those of src/redis/scripts and src/election.
 *
 * Time. A tick of `clock` passes everywhere at once; a lease is good for TTL ticks. Nothing counts
 * absolute time, only ages: since a request was sent, since a version was seen. An age stops at
 * TTL, for only "younger than TTL" is ever asked. The keeper kills in the very tick that brings the
 * age of a term to TTL, and what happens between two ticks happens in any order: the tree may
 * live until just before that tick, and a version seen just after a tick is ripe TTL ticks later.
 * So a term and an observation that begin at one instant leave no time between them that a margin
 * could hide. What the margin and the drift allowance are for, that clocks of different rates and
 * a keeper that needs time still act in that order, is taken as given.
 *
 * Names that never repeat. Versions (nonces) are only ever compared for equality, tokens only for
 * order. After each step `tidy` renames them, versions by where they first appear and tokens by
 * rank, so that a name is used again once no copy of it exists anywhere: the number of writes and
 * of terms is not bounded, and still there are finitely many states. Incarnations of the server are
 * counted, for there are only as many as there are restarts.
 *
 * What is forgotten. States that nobody can tell apart any more are made one: a version that
 * neither the record nor its copy has, all but the token of a record of an earlier incarnation, the
 * token of an ended term of which no trace is left. Each reduction says why it is one; those that a
 * left-out rule would invalidate are off in that variant.
 *
 * Faults. The safety checks let every request and answer be late or lost, every elector hang for as
 * long as it likes and every command end or be stopped, without bound; LATE requests at one time
 * may be executed after they were given up; FLUSHES, RESTARTS and REBIRTHS bound the rest. A hung
 * elector is one that takes no step. A restart with rolled-back data and the promotion of a lagging
 * replica are one event here: an older copy under a new identity, the old server gone.
 *
 * Liveness (LIVE) bounds all that goes wrong together by TROUBLES: no message and no elector takes
 * longer than a tick unless that is counted as trouble, and a follower asks once in a tick. Then there
 * is a leader again and again in every run, fair or not: time itself drives everybody on, so no
 * assumption of fairness is needed.
 *
 * Left out: K (it only ever refuses), pushes (to the observer a push is what an answer is), hold,
 * the server's clock as a ground, --assume-fresh, the candidate's floor (the server's clock gives
 * every grant a token above all before it, and a floor only makes renewals fail earlier),
 * candidates of different TTLs, script errors half-way, an old master that goes on serving
 * (documented as not covered).
 */

#ifndef ELECTORS
#define ELECTORS 2
#endif
#ifndef TTL
#define TTL 2
#endif
#ifndef LATE                /* 1 or 2: requests that were given up and are on their way still */
#define LATE 1
#endif
#ifndef FLUSHES             /* FLUSHALL, DEL, eviction: the record is lost, the server goes on */
#define FLUSHES 0
#endif
#ifndef RESTARTS            /* restarts and promotions: a new incarnation with lost or older data */
#define RESTARTS 0
#endif
#ifndef REBIRTHS            /* electors that are started again, as a new process */
#define REBIRTHS 0
#endif
#ifndef LIVE
#define LIVE 0
#endif
#ifndef TROUBLES
#define TROUBLES 0
#endif

/* One rule left out at a time; each of these must be refuted. */
#define MISSING_IS_FREE            1   /* a missing record is taken as a released one */
#define NO_NONCE                   2   /* every write writes the same version */
#define NO_IDENT                   3   /* nobody looks at the incarnation of the server */
#define RELEASE_WITHOUT_VERSION    4   /* a release compares id and token only */
#define DEADLINE_FROM_REPLY        5   /* a term counts from the answer to its request */
#define UNKNOWN_IS_GRANTED         6   /* no answer to an acquire: lead */
#define RELEASE_FIRST              7   /* the lease is released, then the tree is stopped */
#define OBSERVED_FROM_SEND         8   /* an observation counts from when the question was sent */
#define GRANT_FOUND_IS_LED_ON      9   /* a lost grant, found in the record, needs no renewal */
#define CLAIM_REASSERTS           10   /* a claim writes a lost record again, as a renewal does */
#define TOKEN_WITHOUT_TIME        11   /* a token is one above the record's */
#define NO_KEEPER                 12   /* the deadline is the elector's, who may hang */
#define OWN_TERM_CLAIMED_AGAIN    13   /* one's own ended term is taken for a lost grant */
#define VERSION_SEEN_TOO_LATE     14   /* a version seen after the term is released as one's own */
#define FREE_OF_ANY_INCARNATION   15   /* what was released before a restart is still free */
#define VACANT_NEVER_RIPENS       16   /* only a held record can be observed */
#define NEVER_ASKS_AGAIN          17   /* a candidate whose question got no answer stays silent */
#define OBSERVATION_STARTS_ANEW   18   /* each look at the same version starts its age anew */
#define VERSION_SEEN_IN_DOUBT     19   /* a version seen after a release without an answer, too */
#ifndef BROKEN
#define BROKEN 0
#endif
#define broken(rule) (BROKEN == rule)

#define NOBODY   ELECTORS              /* the id of a process that is no more */
#define NAMES    24                    /* more than there are places for a version or a token */
#define FRESH    (NAMES - 1)           /* a name that is not in use; `tidy` gives it a lower one */

mtype = { missing, vacant, held, free };                            /* states of the record */
mtype = { following, asking, leading, releasing, silent };    /* roles of an elector */
mtype = { nothing, acquire, claim, renew, release };                /* requests */
mtype = { unanswered, granted, refused, renewed, lost, released, not_held };    /* verdicts */

/* {K}:term */
typedef Record {
    mtype st = missing;
    byte id = NOBODY;
    byte tok;
    byte ver;
    byte ident;
};

/* A process and its keeper. */
typedef Elector {
    mtype role = following;
    bool tree;              /* whether its process tree lives */
    byte tok;               /* token of its term, or of its last one */
    byte ver;               /* version that its term is known to have written while it was good */
    byte age;               /* since the request was sent that the term counts from */
    byte seen_ident;        /* the version last seen, if seen_ver is one... */
    byte seen_ver;
    byte seen_age;          /* ... and for how long */
    bool asked;             /* has sent something in this tick (LIVE) */
};

/* A request, and in its place the answer to it. */
typedef Message {
    mtype kind = nothing;
    mtype verdict = unanswered;
    byte id;
    byte age;               /* since it was sent */
    byte tok;               /* renew, claim, release: the term's; answer: see reply() */
    byte ver;               /* acquire: observed; release: the term's; answer: the record's */
    byte ident;             /* acquire: observed; answer: the record's */
};

Record record;
Record copy;                /* an older state: a snapshot on disk, a lagging replica */
byte ident = 1;             /* the incarnation of the server */
Elector elector[ELECTORS];
Message call[ELECTORS];     /* the one request in flight of each elector */
Message late[LATE];         /* given up by its sender, but not by the network */
byte flushes = FLUSHES;
byte restarts = RESTARTS;
byte rebirths = REBIRTHS;
byte troubles = TROUBLES;
byte highest;               /* token of the youngest tree so far; for the properties only */

/* Scratch, within one step. A breadth-first search cannot hide it from the state. */
#ifdef BREADTH_FIRST
#define SCRATCH
#else
#define SCRATCH hidden
#endif
SCRATCH byte i, last;
SCRATCH byte name[NAMES];
SCRATCH mtype verdict;

/* ---- the properties ---- */

#if ELECTORS == 2
#define TREES (elector[0].tree + elector[1].tree)
#else
#define TREES (elector[0].tree + elector[1].tree + elector[2].tree)
#endif

ltl eventual_leadership { [] <> (TREES == 1) }

/* ---- faults and their bounds ---- */

/* Where liveness is checked, what goes wrong goes wrong a bounded number of times. */
#define may_go_wrong (!LIVE || troubles > 0)

inline went_wrong() {
    if
    :: LIVE -> troubles--
    :: else
    fi
}

inline forget(m) {
    m.kind = nothing;
    m.verdict = unanswered;
    m.id = 0;
    m.age = 0;
    m.tok = 0;
    m.ver = 0;
    m.ident = 0
}

inline forget_seen(p) {
    elector[p].seen_ver = 0;
    elector[p].seen_ident = 0;
    elector[p].seen_age = 0
}

/* ---- names in finite number ---- */

/* A version that neither the record nor its copy has will never be there again: to compare with it
 * is to compare with nothing. (The answer to a release keeps it: that there was one matters.) */
#define is_dead(version) (version != record.ver && version != copy.ver && !broken(NO_NONCE))

/* Nobody looks at more than the token of a record that another incarnation wrote: an acquire makes
 * it vacant, a claim and a release refuse it. And a copy, once it is back, is such a record. */
#define OLD_RECORD_MATTERS (broken(NO_IDENT) || broken(FREE_OF_ANY_INCARNATION))

inline reduce_to_token(r) {
    r.st = vacant;
    r.id = NOBODY;
    r.ver = 0;
    r.ident = 0
}

inline reduce_old_records() {
    if
    :: record.st != missing && record.ident != ident && !OLD_RECORD_MATTERS ->
        reduce_to_token(record)
    :: else
    fi;
    if
    :: copy.st != missing && !OLD_RECORD_MATTERS -> reduce_to_token(copy)
    :: else
    fi
}

inline bury(version) {
    if
    :: is_dead(version) -> version = 0
    :: else
    fi
}

inline bury_dead_versions() {
    for (i : 0 .. ELECTORS - 1) {
        bury(elector[i].ver);
        if
        :: is_dead(elector[i].seen_ver) -> forget_seen(i)
        :: else
        fi;
        if
        :: call[i].kind == renew && !elector[i].tree -> call[i].age = 0
        :: else
        fi;
        if
        :: call[i].verdict != not_held && is_dead(call[i].ver) ->
            call[i].ver = 0;
            call[i].ident = 0
        :: else
        fi
    }
    for (i : 0 .. LATE - 1) {
        if
        :: late[i].kind != nothing && is_dead(late[i].ver) ->
            late[i].ver = 0;
            late[i].ident = 0
        :: else
        fi
    }
}

inline forget_names() {
    for (i : 0 .. NAMES - 1) {
        name[i] = 0
    }
    last = 0
}

inline rename(version) {
    if
    :: version != 0 && name[version] == 0 -> last++; name[version] = last
    :: else
    fi;
    version = name[version]
}

inline rename_versions() {
    forget_names();
    rename(record.ver);
    rename(copy.ver);
    for (i : 0 .. ELECTORS - 1) {
        rename(elector[i].ver);
        rename(elector[i].seen_ver);
        rename(call[i].ver)
    }
    for (i : 0 .. LATE - 1) {
        rename(late[i].ver)
    }
}

/* An ended term's token matters only as long as there is something to tell from it. */
inline forget_ended_term(p) {
    if
    :: (elector[p].role == following || elector[p].role == asking) &&
       record.id != p && copy.id != p &&
       (late[0].kind == nothing || late[0].id != p) &&
       (late[LATE - 1].kind == nothing || late[LATE - 1].id != p) -> elector[p].tok = 0
    :: else
    fi
}

/* Each token becomes the number of tokens up to it, so their order stays. The highest so far is
 * compared only with tokens that are still about, or that are new. */
inline rename_tokens() {
    forget_names();
    name[record.tok] = 1;
    name[copy.tok] = 1;
    for (i : 0 .. ELECTORS - 1) {
        name[elector[i].tok] = 1;
        name[call[i].tok] = 1
    }
    for (i : 0 .. LATE - 1) {
        name[late[i].tok] = 1
    }
    if
    :: broken(TOKEN_WITHOUT_TIME) -> name[highest] = 1
    :: else
    fi;
    name[0] = 0;
    for (i : 1 .. NAMES - 1) {
        last = last + name[i];
        name[i] = last
    }
    record.tok = name[record.tok];
    copy.tok = name[copy.tok];
    highest = name[highest];
    for (i : 0 .. ELECTORS - 1) {
        elector[i].tok = name[elector[i].tok];
        call[i].tok = name[call[i].tok]
    }
    for (i : 0 .. LATE - 1) {
        late[i].tok = name[late[i].tok]
    }
}

inline tidy() {
    reduce_old_records();
    bury_dead_versions();
    rename_versions();
    forget_ended_term(0);
    forget_ended_term(1);
#if ELECTORS > 2
    forget_ended_term(2);
#endif
    rename_tokens();
    forget_names();
    i = 0;
    verdict = 0
}

/* ---- the scripts ---- */

#define is_certain (record.st != missing && (record.ident == ident || broken(NO_IDENT)))

inline stamp(state) {
    record.st = state;
    record.id = NOBODY;
    record.ver = (broken(NO_NONCE) -> 1 : FRESH);
    record.ident = ident
}

/* Nobody can know whether an earlier holder still runs: from here on it can be observed. */
inline vacate() {
    if
    :: is_certain || (broken(FREE_OF_ANY_INCARNATION) && record.st == free)
    :: else ->
        if
        :: broken(MISSING_IS_FREE) && record.st == missing -> record.st = free
        :: else -> stamp(vacant)
        fi
    fi
}

#define is_observed(m) (m.ver != 0 && m.ver == record.ver && \
                        (m.ident == ident || broken(NO_IDENT)) && \
                        (record.st == held || (record.st == vacant && !broken(VACANT_NEVER_RIPENS))))

inline script_acquire(m) {
    vacate();
    if
    :: record.st == free || is_observed(m) ->
        stamp(held);
        record.id = m.id;
        record.tok = (broken(TOKEN_WITHOUT_TIME) -> record.tok + 1 : FRESH);
        verdict = granted
    :: else -> verdict = refused
    fi
}

#define is_mine(m) (record.id == m.id && record.tok == m.tok)

#define is_lost(m) (record.st != missing && record.tok >= m.tok && \
                    (record.tok > m.tok || \
                     (record.st == held && !is_mine(m)) || (record.st == free && is_certain)))

inline script_renew(m) {
    if
    :: m.kind == claim && !broken(CLAIM_REASSERTS) &&
       !(is_certain && record.st == held && is_mine(m)) -> verdict = refused
    :: else ->
        if
        :: is_lost(m) -> verdict = (m.kind == claim -> refused : lost)
        :: else ->
            stamp(held);
            record.id = m.id;
            record.tok = m.tok;
            verdict = (m.kind == claim -> granted : renewed)
        fi
    fi
}

inline script_release(m) {
    if
    :: record.st == held && is_mine(m) && (record.ident == ident || broken(NO_IDENT)) &&
       (record.ver == m.ver || broken(RELEASE_WITHOUT_VERSION)) ->
        stamp(free);
        verdict = released
    :: else -> verdict = not_held
    fi
}

inline execute(m) {
    if
    :: m.kind == acquire -> script_acquire(m)
    :: m.kind == claim || m.kind == renew -> script_renew(m)
    :: m.kind == release -> script_release(m)
    fi
}

/* The answer, cut down to what the asker will look at: the record's version, and its token only
 * where it is the asker's own and news to it. */
#define is_unclaimed_grant(p) (record.st == held && record.id == p && \
                               (record.tok > elector[p].tok || broken(OWN_TERM_CLAIMED_AGAIN)))

inline reply(p, m) {
    m.verdict = verdict;
    m.ident = 0;
    if
    :: verdict == granted -> m.tok = record.tok; m.ver = record.ver
    :: verdict == renewed -> m.ver = record.ver
    :: verdict == released -> m.tok = 0; m.ver = 0
    :: verdict == not_held ->
        m.ver = (record.st == held && is_mine(m) -> record.ver : 0);
        m.tok = 0
    :: verdict == lost -> m.tok = 0; m.ver = 0; m.age = 0
    :: verdict == refused ->
        m.tok = (is_unclaimed_grant(p) -> record.tok : 0);
        m.ver = (record.st == missing -> 0 : record.ver);
        m.ident = (record.st == missing -> 0 : record.ident);
        m.age = (broken(OBSERVED_FROM_SEND) || broken(GRANT_FOUND_IS_LED_ON) -> m.age : 0)
    fi
}

/* ---- following ---- */

inline send(p, what, token) {
    forget(call[p]);
    call[p].kind = what;
    call[p].id = p;
    call[p].tok = token;
    elector[p].asked = LIVE
}

/* Takes up a grant whose answer was lost or late: its token is in the answer. */
inline send_claim(p, token) {
    last = token;
    send(p, claim, last);
    last = 0
}

inline ask(p) {
    send(p, acquire, 0);
    elector[p].role = asking;
    if
    :: elector[p].seen_age == TTL ->
        call[p].ver = elector[p].seen_ver;
        call[p].ident = elector[p].seen_ident
    :: else
    fi
}

/* Only a change starts the observation anew. */
inline observe(p, m) {
    if
    :: m.ver == 0
    :: m.ver != 0 && m.ver == elector[p].seen_ver && m.ident == elector[p].seen_ident &&
       !broken(OBSERVATION_STARTS_ANEW)
    :: else ->
        elector[p].seen_ver = m.ver;
        elector[p].seen_ident = m.ident;
        elector[p].seen_age = (broken(OBSERVED_FROM_SEND) -> m.age : 0)
    fi
}

inline follow(p) {
    elector[p].role = following;
    elector[p].ver = 0;
    elector[p].age = 0
}

inline start_tree(p) {
    assert(TREES == 0);
    assert(elector[p].tok > highest);
    highest = elector[p].tok;
    elector[p].tree = true;
    elector[p].role = leading
}

/* Takes the lease that the answer in m grants, or finds it granted. */
inline take(p, m) {
    elector[p].tok = m.tok;
    elector[p].ver = m.ver;
    elector[p].age = (broken(DEADLINE_FROM_REPLY) -> 0 : m.age);
    forget_seen(p)
}

inline asking_reply(p, m) {
    if
    :: m.verdict == granted && (m.age < TTL || broken(DEADLINE_FROM_REPLY)) ->
        take(p, m);
        start_tree(p);
        forget(m)
    :: m.verdict == granted && !(m.age < TTL || broken(DEADLINE_FROM_REPLY)) ->
        send_claim(p, m.tok)
    :: m.verdict == refused && m.tok != 0 && !broken(GRANT_FOUND_IS_LED_ON) ->
        /* A grant whose answer was lost. Its own send is forgotten: count from a renewal's. */
        send_claim(p, m.tok)
    :: m.verdict == refused && m.tok != 0 && broken(GRANT_FOUND_IS_LED_ON) && m.age < TTL ->
        take(p, m);
        start_tree(p);
        forget(m)
    :: else ->
        observe(p, m);
        follow(p);
        forget(m)
    fi
}

/* ---- a term ---- */

/* By a signal, at the deadline, because the lease is lost, or it ends by itself. */
inline stop_tree(p) {
    elector[p].tree = broken(RELEASE_FIRST);
    elector[p].role = releasing
}

inline term_reply(p, m) {
    if
    :: m.verdict == renewed ->
        if
        :: elector[p].age < TTL -> elector[p].ver = m.ver
        :: else
        fi;
        if
        :: elector[p].role == leading && elector[p].tree ->
            elector[p].age = (broken(DEADLINE_FROM_REPLY) -> 0 : m.age)
        :: else
        fi
    :: m.verdict == lost && elector[p].role == leading -> stop_tree(p)
    :: else
    fi;
    forget(m)
}

/* The record may be ours after all, written by a renewal whose answer was lost. While the term has
 * not expired and was not released, nobody else can have led since. */
inline release_reply(p, m) {
    if
    :: m.verdict == not_held && m.ver != 0 && m.ver != elector[p].ver &&
       (elector[p].age < TTL || (elector[p].age == TTL && broken(VERSION_SEEN_TOO_LATE))) ->
        elector[p].ver = m.ver
    :: else -> follow(p)
    fi;
    forget(m)
}

/* ---- what goes wrong ---- */

/* Its outcome is unknown. A term that may have been released is over, however young it is: it
 * cannot vouch for a version any more. */
inline give_up(p) {
    went_wrong();
    if
    :: call[p].kind == acquire && broken(UNKNOWN_IS_GRANTED) ->
        elector[p].tok = FRESH;
        elector[p].age = call[p].age;
        start_tree(p)
    :: elector[p].role == asking && !(call[p].kind == acquire && broken(UNKNOWN_IS_GRANTED)) ->
        elector[p].role = (broken(NEVER_ASKS_AGAIN) -> silent : following)
    :: call[p].kind == release && !broken(VERSION_SEEN_IN_DOUBT) ->
        elector[p].age = (broken(VERSION_SEEN_TOO_LATE) -> TTL + 1 : TTL)
    :: else
    fi;
    forget(call[p])
}

inline copy_message(to, from) {
    to.kind = from.kind;
    to.id = from.id;
    to.tok = from.tok;
    to.ver = from.ver;
    to.ident = from.ident
}

inline leave_behind(m) {
    if
    :: late[0].kind == nothing -> copy_message(late[0], m)
    :: else -> copy_message(late[LATE - 1], m)
    fi
}

inline close_ranks(n) {
#if LATE > 1
    if
    :: n == 0 -> copy_message(late[0], late[1])
    :: else
    fi;
#endif
    forget(late[LATE - 1])
}

inline be_reborn(p) {
    if
    :: record.id == p -> record.id = NOBODY
    :: else
    fi;
    if
    :: copy.id == p -> copy.id = NOBODY
    :: else
    fi;
    for (i : 0 .. LATE - 1) {
        if
        :: late[i].kind != nothing && late[i].id == p -> late[i].id = NOBODY
        :: else
        fi
    }
    follow(p);
    forget_seen(p);
    elector[p].tok = 0
}

inline copy_record(to, from) {
    to.st = from.st;
    to.id = from.id;
    to.tok = from.tok;
    to.ver = from.ver;
    to.ident = from.ident
}

inline lose(r) {
    r.st = missing;
    r.id = NOBODY;
    r.tok = 0;
    r.ver = 0;
    r.ident = 0
}

inline restart() {
    restarts--;
    ident++;
    if
    :: restarts == 0 -> lose(copy)
    :: else
    fi
}

/* ---- time ---- */

inline grow_older(how_old) {
    how_old = (how_old < TTL -> how_old + 1 : how_old)
}

inline tick() {
    for (i : 0 .. ELECTORS - 1) {
        if
        :: elector[i].role == asking && call[i].verdict != refused -> grow_older(call[i].age)
        :: call[i].kind == renew && call[i].verdict != lost && elector[i].role == leading &&
           elector[i].tree -> grow_older(call[i].age)
        :: else
        fi;
        if
        :: elector[i].seen_ver != 0 -> grow_older(elector[i].seen_age)
        :: else
        fi;
        if
        :: elector[i].role == leading || elector[i].role == releasing ->
            grow_older(elector[i].age)
        :: else
        fi;
        if
        :: elector[i].age == TTL && elector[i].tree && !broken(NO_KEEPER) ->
            elector[i].tree = false;
            elector[i].role = releasing
        :: else
        fi;
        elector[i].asked = false
    }
}

/* What an elector that is not hung does before the next tick. */
#define is_due(p) (call[p].kind != nothing || \
                   (!elector[p].asked && \
                    (elector[p].role == following || elector[p].role == releasing || \
                     (elector[p].role == leading && elector[p].age > 0))))

#if ELECTORS == 2
#define something_is_due (is_due(0) || is_due(1))
#else
#define something_is_due (is_due(0) || is_due(1) || is_due(2))
#endif

/* ---- who acts ---- */

#define me _pid

/* What a counterexample says; a search prints nothing. */
mtype = { asks, renews, releases, hears, stops, loses, gives_up, leaves, reborn };

inline say(does) {
    printf("elector %d %e | %e, tree %d, term tok %d ver %d age %d", me, does,
           elector[me].role, elector[me].tree, elector[me].tok, elector[me].ver, elector[me].age);
    printf(" | %e %e, sent %d ago | seen %d for %d\n", call[me].kind, call[me].verdict,
           call[me].age, elector[me].seen_ver, elector[me].seen_age)
}

inline tell(m) {
    printf("    server: %e of %d: %e | record %e, id %d, tok %d, ver %d, incarnation %d\n",
           m.kind, m.id, verdict, record.st, record.id, record.tok, record.ver, record.ident)
}

#define may_send(p) (call[p].kind == nothing && (!LIVE || !elector[p].asked))

/* An elector: each step is one event of its loop. It may hang between any two of them. */
active [ELECTORS] proctype process() {
    do
    :: d_step { elector[me].role == following && may_send(me) -> ask(me); say(asks); tidy() }

    :: d_step { elector[me].role == leading && elector[me].tree && may_send(me) &&
                (!LIVE || elector[me].age > 0) ->
        send(me, renew, elector[me].tok); say(renews); tidy() }

    :: d_step { elector[me].role == releasing && may_send(me) ->
        assert(!elector[me].tree);
        send(me, release, elector[me].tok);
        call[me].ver = elector[me].ver;
        say(releases); tidy() }

    :: d_step { call[me].verdict != unanswered && elector[me].role == asking ->
        say(hears); asking_reply(me, call[me]); tidy() }

    :: d_step { call[me].verdict != unanswered && call[me].kind == renew ->
        say(hears); term_reply(me, call[me]); tidy() }

    :: d_step { call[me].verdict != unanswered && call[me].kind == release ->
        say(hears); release_reply(me, call[me]); tidy() }

    /* The command ends, or is stopped: by a signal, or because the lease is lost. */
    :: d_step { elector[me].tree && elector[me].role != releasing ->
        stop_tree(me); say(stops) }
    :: d_step { elector[me].tree && elector[me].role == releasing ->
        elector[me].tree = false; say(stops) }

    /* Its own deadline, when it gets round to it. */
    :: d_step { broken(NO_KEEPER) && elector[me].tree && elector[me].age == TTL ->
        stop_tree(me); say(stops); tidy() }

    /* Granted, but by now told to stop: the lease is given back. */
    :: d_step { may_go_wrong && elector[me].role == asking && call[me].verdict == granted ->
        went_wrong();
        take(me, call[me]);
        forget(call[me]);
        elector[me].role = releasing;
        say(stops); tidy() }

    /* No answer in time: the request is lost, or its answer, or it is on its way still. */
    :: d_step { may_go_wrong && call[me].kind != nothing ->
        say(loses); give_up(me); tidy() }
    :: d_step { may_go_wrong && call[me].kind != nothing && call[me].verdict == unanswered &&
                late[LATE - 1].kind == nothing ->
        say(gives_up); leave_behind(call[me]); give_up(me); tidy() }

    /* The lease is left to its TTL. */
    :: d_step { may_go_wrong && elector[me].role == releasing && call[me].kind == nothing ->
        went_wrong(); follow(me); say(leaves); tidy() }

    /* Started again, as a process that knows nothing and has another id. (The death of a leader is
     * the end of its tree, the release by its last will or none, and this.) */
    :: d_step { may_go_wrong && rebirths > 0 && call[me].kind == nothing &&
                (elector[me].role == following || elector[me].role == silent) ->
        went_wrong(); rebirths--; be_reborn(me); say(reborn); tidy() }
    od
}

/* The server executes one request after the other, in any order. */
active proctype server() {
    do
    :: d_step { call[0].kind != nothing && call[0].verdict == unanswered ->
        execute(call[0]); reply(0, call[0]); tell(call[0]); tidy() }
    :: d_step { call[1].kind != nothing && call[1].verdict == unanswered ->
        execute(call[1]); reply(1, call[1]); tell(call[1]); tidy() }
#if ELECTORS > 2
    :: d_step { call[2].kind != nothing && call[2].verdict == unanswered ->
        execute(call[2]); reply(2, call[2]); tell(call[2]); tidy() }
#endif
    :: d_step { late[0].kind != nothing -> execute(late[0]); tell(late[0]); close_ranks(0); tidy() }
#if LATE > 1
    :: d_step { late[1].kind != nothing -> execute(late[1]); tell(late[1]); close_ranks(1); tidy() }
#endif
    od
}

active proctype faults() {
    do
    :: d_step { may_go_wrong && flushes > 0 && record.st != missing ->
        went_wrong(); flushes--; lose(record);
        printf("    server: the record is lost\n"); tidy() }
    :: d_step { may_go_wrong && restarts > 0 ->
        went_wrong(); restart(); lose(record);
        printf("    server: a new incarnation, empty\n"); tidy() }
    :: d_step { may_go_wrong && restarts > 0 && copy.st != missing ->
        went_wrong(); copy_record(record, copy); restart();
        printf("    server: a new incarnation, with the copy\n"); tidy() }
    :: d_step { restarts > 0 && record.st != missing &&
                (copy.tok != record.tok || OLD_RECORD_MATTERS && copy.ver != record.ver) ->
        copy_record(copy, record);
        printf("    server: the record is copied\n"); tidy() }
    od
}

active proctype clock() {
    do
    :: d_step { !LIVE || !(something_is_due) -> tick(); printf("-- tick\n"); tidy() }
    :: d_step { LIVE && something_is_due && troubles > 0 ->
        troubles--; tick(); printf("-- tick, too early for somebody\n"); tidy() }
    od
}
