/*
 * The rule of the witnesses, to be checked exhaustively by Spin; `run` does it and prints a table.
 *
 * Two servers, of which one is promoted while the other, which it replaces, goes on serving; then
 * that one may come back. Three witnesses know who is master: their views move forward at different
 * times and never back. Two candidates ask one server each, with the lease of lease.pml, whose head
 * comment says how time and names are kept finite. Rules are those of doc/ARCHITECTURE.md, "Where
 * there is more than one server".
 *
 * A *placement* is what a witness names, an address and an epoch: here its number, in the order in
 * which they come, of which there are FAILOVERS + 1. A new one is another server's, which was a
 * replica until then, or one that nobody ever told that it was not the master any more, so that it
 * has kept its record and its incarnation; or the same server's, whose epoch has grown.
 *
 * Less to tell apart. What is counted, a link that is placed or an answer that is confirmed, may be
 * counted at any later time or never, so more votes can only allow more: a poll begins at once and
 * takes in each placement that a witness names while it lasts. A request is executed when it is
 * sent, or is given up and executed later (LATE: one at a time), or is lost, which is as if it was
 * not sent. An answer is waited for only if it can do something that its asker cannot do anyway: it
 * may stop its tree at any time, so `lost` is nothing, and give up a release, so `released` is
 * nothing. A refusal that is not held back is heard at once: one heard later begins a younger
 * observation, as one of a later question does.
 *
 * Messages and electors may wait for any number of ticks. Left out, besides what lease.pml leaves
 * out: loss of data and restarts other than by a promotion (lease.pml has them), a late claim, two
 * late requests at a time, processes that start again, changes of the electorate, ASK and the word
 * for its epoch, clocks of servers that differ (a token is above those of both).
 */

#ifndef TTL
#define TTL 1
#endif
#ifndef FAILOVERS
#define FAILOVERS 2
#endif
#ifndef LATE                /* 0 or 1 */
#define LATE 0
#endif

/* One rule left out at a time; each of these must be refuted. */
#define NOBODY_ASKS              1   /* a server is the master because one witness said so */
#define ASKED_BEFORE             2   /* the witnesses are asked before a request, not after it */
#define ONLY_LEADERS_ASK         3   /* ... by those who renew and release */
#define ONLY_CANDIDATES_ASK      4   /* ... by those who want the lease */
#define ONE_IS_ENOUGH            5   /* a single witness confirms and places */
#define PLACED_BY_ONE            6   /* a single witness places, a majority confirms */
#define NO_EPOCH_IN_IDENT        7   /* the epoch is no part of the incarnation */
#define NO_EPOCH_IN_VOTES       8   /* an address that is named again is the same placement */
#ifndef BROKEN
#define BROKEN 0
#endif
#define broken(rule) (BROKEN == rule)

#define NOBODY  2
#define NAMES   20                     /* more than there are places for a version or a token */
#define FRESH   (NAMES - 1)

mtype = { missing, vacant, held, free };                /* states of the record */
mtype = { following, leading, releasing };              /* roles; a tree lives while leading */
mtype = { nothing, acquire, renew, release };           /* requests */
mtype = { none, granted, refused, renewed, not_held };  /* answers that are held back */

/* {K}:term of a server. Its incarnation is that of the server, or an earlier one, and the epoch. */
typedef Record {
    mtype st = missing;
    byte id = NOBODY;
    byte tok;
    byte ver;
    bool present;           /* written by the server's present incarnation... */
    byte epoch;             /* ... by a request that was sent under this placement */
};

typedef Elector {
    mtype role = following;
    byte tok;               /* token of its term, or of its last one */
    byte ver;               /* version that its term is known to have written while it was good */
    byte age;               /* since the request was sent that the term counts from */
    byte seen_ver;          /* the version last seen, if it is one... */
    byte seen_age;          /* ... for how long... */
    byte seen_at;           /* ... under which placement */
    byte at;                /* the placement of its link; 0: it is not placed */
};

/* An answer that is held back. */
typedef Answer {
    mtype verdict = none;
    byte tok;
    byte ver;
    byte age;               /* since its request was sent */
};

typedef Request {
    mtype kind = nothing;
    byte id;
    byte tok;               /* renew, release: the term's */
    byte ver;               /* acquire: observed; release: the term's */
    byte at;                /* the placement that it was sent under */
};

typedef Witness {
    byte knows = 1;         /* placement of the last fail-over that it has heard of */
    byte named[2];          /* placements that it has named in each elector's poll: bits */
};

Record record[2];
byte master = 1;            /* the present placement */
byte home[FAILOVERS + 2];   /* the server of each */
bool replaced;              /* so that both servers have been masters */
Witness witness[3];
Elector elector[2];
Answer answer[2];
Request late;               /* given up by its sender, but not by the network */

#ifdef BREADTH_FIRST
#define SCRATCH
#else
#define SCRATCH hidden
#endif
SCRATCH byte i, last;
SCRATCH byte name[NAMES];
SCRATCH Request request;       /* the request that is executed */
SCRATCH mtype verdict;

/* ---- the property ---- */

#define TREES ((elector[0].role == leading) + (elector[1].role == leading))

inline forget_answer(p) {
    answer[p].verdict = none;
    answer[p].tok = 0;
    answer[p].ver = 0;
    answer[p].age = 0
}

inline forget_request(m) {
    m.kind = nothing;
    m.id = 0;
    m.tok = 0;
    m.ver = 0;
    m.at = 0
}

inline forget_seen(p) {
    elector[p].seen_ver = 0;
    elector[p].seen_age = 0;
    elector[p].seen_at = 0
}

/* ---- polls ---- */

#define bit(k) (1 << (k))
#define named(k) (broken(NO_EPOCH_IN_VOTES) && (k) == 3 && home[3] == home[1] -> 1 : (k))
#define names(v, p, k) ((witness[v].named[p] >> (k)) & 1)
#define votes(p, k) (names(0, p, k) + names(1, p, k) + names(2, p, k))

#define is_candidate(p) (elector[p].role == following)
#define asks_witnesses(p) (!broken(NOBODY_ASKS) && \
                           !(broken(ONLY_LEADERS_ASK) && is_candidate(p)) && \
                           !(broken(ONLY_CANDIDATES_ASK) && !is_candidate(p)))
#define needed_to_place(p) \
    (broken(PLACED_BY_ONE) || broken(ONE_IS_ENOUGH) || !asks_witnesses(p) -> 1 : 2)
#define needed_to_confirm(p) \
    (broken(ASKED_BEFORE) || !asks_witnesses(p) -> 0 : (broken(ONE_IS_ENOUGH) -> 1 : 2))

#define is_confirmed(p) (answer[p].verdict != none && \
                         votes(p, elector[p].at) >= needed_to_confirm(p))

/* Where the witnesses are asked first, their votes are used up by the request. */
#define may_send(p) (elector[p].at != 0 && answer[p].verdict == none && \
                     (!broken(ASKED_BEFORE) || votes(p, elector[p].at) >= 2))

inline begin_poll(p) {
    witness[0].named[p] = 0;
    witness[1].named[p] = 0;
    witness[2].named[p] = 0
}

/* A poll for a link that is not placed is about any placement, else about that of the link. */
inline take_vote(v, p) {
    if
    :: elector[p].at == 0 ->
        witness[v].named[p] = witness[v].named[p] | bit(named(witness[v].knows))
    :: elector[p].at != 0 && (answer[p].verdict != none || broken(ASKED_BEFORE)) ->
        if
        :: elector[p].at == named(witness[v].knows) -> witness[v].named[p] = bit(elector[p].at)
        :: else
        fi
    :: else
    fi
}

inline take_votes() {
    take_vote(0, 0); take_vote(1, 0); take_vote(2, 0);
    take_vote(0, 1); take_vote(1, 1); take_vote(2, 1)
}

/* Whether a witness has named k in this poll, or may yet do so. */
#define may_name(v, p, k) (names(v, p, k) || witness[v].knows <= (k))
#define is_hopeless(p, k) (may_name(0, p, k) + may_name(1, p, k) + may_name(2, p, k) < 2)

/* What no majority will ever confirm is as good as given up, and where no link will be placed again
 * nothing needs to be remembered. */
#define CAN_BE_HOPELESS (BROKEN == 0 || broken(NO_EPOCH_IN_IDENT))

inline give_up_hopeless(p) {
    if
    :: CAN_BE_HOPELESS && answer[p].verdict != none && is_hopeless(p, elector[p].at) ->
        give_up(p)
    :: else
    fi;
    if
    :: CAN_BE_HOPELESS && elector[p].at == 0 ->
        for (i : 1 .. FAILOVERS + 1) {
            if
            :: is_hopeless(p, i) ->
                witness[0].named[p] = witness[0].named[p] & (255 - bit(i));
                witness[1].named[p] = witness[1].named[p] & (255 - bit(i));
                witness[2].named[p] = witness[2].named[p] & (255 - bit(i))
            :: else
            fi
        }
    :: else
    fi;
    if
    :: CAN_BE_HOPELESS && elector[p].seen_ver != 0 && elector[p].at != elector[p].seen_at &&
       (elector[p].at != 0 || is_hopeless(p, elector[p].seen_at)) &&
       (witness[0].knows > elector[p].seen_at) + (witness[1].knows > elector[p].seen_at) +
       (witness[2].knows > elector[p].seen_at) > 1 -> forget_seen(p)
    :: else
    fi
}

/* The three witnesses are alike, so their order says nothing. */
#define weight(v) (256 * witness[v].knows + 16 * witness[v].named[0] + witness[v].named[1])

inline order(v, u) {
    if
    :: weight(v) > weight(u) ->
        last = witness[v].knows; witness[v].knows = witness[u].knows; witness[u].knows = last;
        last = witness[v].named[0]; witness[v].named[0] = witness[u].named[0];
        witness[u].named[0] = last;
        last = witness[v].named[1]; witness[v].named[1] = witness[u].named[1];
        witness[u].named[1] = last
    :: else
    fi
}

/* ---- names in finite number, and states that nobody can tell apart ---- */

#define is_dead(version) (version != record[0].ver && version != record[1].ver)

inline bury(version) {
    if
    :: is_dead(version) -> version = 0
    :: else
    fi
}

/* Of what another incarnation has written only the token is looked at. */
inline reduce(r) {
    if
    :: r.st != missing && !r.present -> r.st = vacant; r.id = NOBODY; r.ver = 0; r.epoch = 0
    :: else
    fi
}

inline bury_dead_versions() {
    for (i : 0 .. 1) {
        bury(elector[i].ver);
        bury(answer[i].ver);
        if
        :: is_dead(elector[i].seen_ver) -> forget_seen(i)
        :: else
        fi;
        if
        :: (answer[i].verdict == granted && answer[i].age == TTL) ||
           (answer[i].verdict == refused && answer[i].ver == 0) ||
           (answer[i].verdict == not_held && answer[i].ver == 0) -> forget_answer(i); begin_poll(i)
        :: else
        fi
    }
    bury(late.ver)
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
    rename(record[0].ver);
    rename(record[1].ver);
    for (i : 0 .. 1) {
        rename(elector[i].ver);
        rename(elector[i].seen_ver);
        rename(answer[i].ver)
    }
    rename(late.ver)
}

inline forget_ended_term(p) {
    if
    :: elector[p].role == following && record[0].id != p && record[1].id != p &&
       (late.kind == nothing || late.id != p) -> elector[p].tok = 0
    :: else
    fi
}

inline rename_tokens() {
    forget_names();
    for (i : 0 .. 1) {
        name[record[i].tok] = 1;
        name[elector[i].tok] = 1;
        name[answer[i].tok] = 1
    }
    name[late.tok] = 1;
    name[0] = 0;
    for (i : 1 .. NAMES - 1) {
        last = last + name[i];
        name[i] = last
    }
    for (i : 0 .. 1) {
        record[i].tok = name[record[i].tok];
        elector[i].tok = name[elector[i].tok];
        answer[i].tok = name[answer[i].tok]
    }
    late.tok = name[late.tok]
}

inline tidy() {
    reduce(record[0]);
    reduce(record[1]);
    bury_dead_versions();
    take_votes();
    give_up_hopeless(0);
    give_up_hopeless(1);
    rename_versions();
    forget_ended_term(0);
    forget_ended_term(1);
    rename_tokens();
    forget_names();
    order(0, 1);
    order(1, 2);
    order(0, 1);
    forget_request(request);
    i = 0;
    last = 0;
    verdict = 0
}

/* ---- the scripts: `request`, on the record r ---- */

#define is_certain(r) (r.st != missing && r.present && \
                       (broken(NO_EPOCH_IN_IDENT) || r.epoch == request.at))

inline stamp(r, state) {
    r.st = state;
    r.id = NOBODY;
    r.ver = FRESH;
    r.present = true;
    r.epoch = (broken(NO_EPOCH_IN_IDENT) -> 0 : request.at)
}

inline script_acquire(r) {
    if
    :: is_certain(r)
    :: else -> stamp(r, vacant)
    fi;
    if
    :: r.st == free || (request.ver != 0 && request.ver == r.ver) ->
        stamp(r, held);
        r.id = request.id;
        r.tok = FRESH;
        verdict = granted
    :: else -> verdict = refused
    fi
}

#define is_mine(r) (r.id == request.id && r.tok == request.tok)
#define is_lost(r) (r.st != missing && r.tok >= request.tok && \
                    (r.tok > request.tok || r.st == free || (r.st == held && !is_mine(r))))

inline script_renew(r) {
    if
    :: is_lost(r) -> verdict = none
    :: else ->
        stamp(r, held);
        r.id = request.id;
        r.tok = request.tok;
        verdict = renewed
    fi
}

inline script_release(r) {
    if
    :: r.st == held && is_mine(r) && is_certain(r) && r.ver == request.ver ->
        stamp(r, free);
        verdict = none
    :: else -> verdict = not_held
    fi
}

inline execute(r) {
    if
    :: request.kind == acquire -> script_acquire(r)
    :: request.kind == renew -> script_renew(r)
    :: request.kind == release -> script_release(r)
    fi;
    printf("    server of %d: %e of %d: %e | record %e, id %d, tok %d, ver %d, epoch %d\n",
           request.at, request.kind, request.id, verdict, r.st, r.id, r.tok, r.ver, r.epoch)
}

/* ---- requests and their answers ---- */

inline prepare(p, what) {
    request.kind = what;
    request.id = p;
    request.at = elector[p].at;
    request.tok = (what == acquire -> 0 : elector[p].tok);
    request.ver = (what == release -> elector[p].ver :
               (what == acquire && elector[p].seen_age == TTL -> elector[p].seen_ver : 0));
    begin_poll(p)
}

/* Only a change starts the observation anew. */
inline observe(p, version) {
    if
    :: version == elector[p].seen_ver
    :: else ->
        elector[p].seen_ver = version;
        elector[p].seen_age = 0;
        elector[p].seen_at = elector[p].at
    fi
}

/* Takes up a grant whose answer was lost or never confirmed: the term counts from the claim. */
inline reply_refused(p, r) {
    if
    :: r.st == held && r.id == p && r.tok > elector[p].tok ->
        stamp(r, held);
        r.id = p;
        answer[p].verdict = granted;
        answer[p].tok = r.tok;
        answer[p].ver = r.ver
    :: !(r.st == held && r.id == p && r.tok > elector[p].tok) &&
       r.st == vacant ->
        answer[p].verdict = refused;
        answer[p].ver = r.ver
    :: else -> observe(p, r.ver)
    fi
}

inline ask(p, r) {
    prepare(p, acquire);
    execute(r);
    if
    :: verdict == granted ->
        answer[p].verdict = granted;
        answer[p].tok = r.tok;
        answer[p].ver = r.ver
    :: else -> reply_refused(p, r)
    fi
}

inline send_renewal(p, r) {
    prepare(p, renew);
    execute(r);
    if
    :: verdict == renewed -> answer[p].verdict = renewed; answer[p].ver = r.ver
    :: else
    fi
}

inline follow(p) {
    elector[p].role = following;
    elector[p].ver = 0;
    elector[p].age = 0
}

inline send_release(p, r) {
    prepare(p, release);
    execute(r);
    if
    :: verdict == not_held && r.st == held && is_mine(r) && r.ver != elector[p].ver &&
       elector[p].age < TTL ->
        answer[p].verdict = not_held;
        answer[p].ver = r.ver
    :: verdict == not_held && !(r.st == held && is_mine(r) && r.ver != elector[p].ver &&
                                elector[p].age < TTL)
    :: verdict != not_held -> follow(p)
    fi
}

/* The answer counts. */
inline count(p) {
    if
    :: answer[p].verdict == granted ->
        elector[p].tok = answer[p].tok;
        elector[p].ver = answer[p].ver;
        elector[p].age = answer[p].age;
        forget_seen(p);
        assert(TREES == 0);
        elector[p].role = leading
    :: answer[p].verdict == refused -> observe(p, answer[p].ver)
    :: answer[p].verdict == renewed || answer[p].verdict == not_held ->
        if
        :: elector[p].age < TTL -> elector[p].ver = answer[p].ver
        :: else
        fi;
        if
        :: elector[p].role == leading && answer[p].verdict == renewed ->
            elector[p].age = answer[p].age
        :: else
        fi
    fi;
    forget_answer(p);
    begin_poll(p)
}

/* Its outcome is unknown. A release in doubt ends what its term can vouch for. */
inline give_up(p) {
    if
    :: answer[p].verdict == not_held -> elector[p].age = TTL
    :: else
    fi;
    forget_answer(p);
    begin_poll(p)
}

/* The request is on its way when its sender gives it up. */
inline leave_behind() {
    late.kind = request.kind;
    late.id = request.id;
    late.tok = request.tok;
    late.ver = request.ver;
    late.at = request.at
}

inline pick_up() {
    request.kind = late.kind;
    request.id = late.id;
    request.tok = late.tok;
    request.ver = late.ver;
    request.at = late.at;
    forget_request(late)
}

/* ---- links ---- */

inline leave(p) {
    elector[p].at = 0;
    begin_poll(p)
}

/* What was observed under another placement says nothing of this one. */
inline place(p, k) {
    elector[p].at = k;
    begin_poll(p);
    if
    :: elector[p].seen_at != k -> forget_seen(p)
    :: else
    fi
}

#define may_place(p, k) (elector[p].at == 0 && answer[p].verdict == none && \
                         votes(p, k) >= needed_to_place(p))

/* ---- fail-overs ---- */

#define may_fail_over (master <= FAILOVERS)

/* A server that was a replica: it has its master's data, or older ones, or none. */
inline promote(r, other, with_data) {
    r.st = (with_data -> other.st : missing);
    r.id = NOBODY;
    r.tok = (with_data -> other.tok : 0);
    r.ver = 0;
    r.present = false;
    r.epoch = 0
}

inline new_placement(server) {
    replaced = replaced || server != home[master];
    master++;
    home[master] = server
}

inline fail_over(with_data) {
    new_placement(1 - home[master]);
    promote(record[home[master]], record[1 - home[master]], with_data)
}

inline learn(v) {
    witness[v].knows++;
    printf("    a witness knows placement %d\n", witness[v].knows);
    tidy()
}

/* ---- time ---- */

inline grow_older(how_old) {
    how_old = (how_old < TTL -> how_old + 1 : how_old)
}

inline tick() {
    for (i : 0 .. 1) {
        if
        :: answer[i].verdict == granted || answer[i].verdict == renewed ->
            grow_older(answer[i].age)
        :: else
        fi;
        if
        :: elector[i].seen_ver != 0 -> grow_older(elector[i].seen_age)
        :: else
        fi;
        if
        :: elector[i].role != following -> grow_older(elector[i].age)
        :: else
        fi;
        if
        :: elector[i].role == leading && elector[i].age == TTL -> elector[i].role = releasing
        :: else
        fi
    }
}

/* ---- who acts ---- */

#define me _pid
#define mine record[home[elector[me].at]]

mtype = { asks, renews, releases, hears, stops, gives_up, leaves, disconnects, connects };

inline say(does) {
    printf("elector %d %e | %e, tok %d ver %d age %d | link %d | held back %e, sent %d ago", me,
           does, elector[me].role, elector[me].tok, elector[me].ver, elector[me].age,
           elector[me].at, answer[me].verdict, answer[me].age);
    printf(" | seen %d for %d\n", elector[me].seen_ver, elector[me].seen_age)
}

#define may_leave_behind (LATE && may_send(me) && late.kind == nothing)

active [2] proctype process() {
    do
    :: d_step { may_place(me, 1) -> place(me, 1); say(connects); tidy() }
    :: d_step { may_place(me, 2) -> place(me, 2); say(connects); tidy() }
    :: d_step { may_place(me, 3) -> place(me, 3); say(connects); tidy() }
    :: d_step { elector[me].at != 0 && answer[me].verdict == none ->
        leave(me); say(disconnects); tidy() }

    :: d_step { elector[me].role == following && may_send(me) ->
        ask(me, mine); say(asks); tidy() }
    :: d_step { elector[me].role == following && may_leave_behind ->
        prepare(me, acquire); leave_behind(); say(asks); tidy() }

    :: d_step { elector[me].role == leading && may_send(me) ->
        send_renewal(me, mine); say(renews); tidy() }
    :: d_step { elector[me].role == leading && may_leave_behind ->
        prepare(me, renew); leave_behind(); say(renews); tidy() }

    :: d_step { elector[me].role == leading ->
        elector[me].role = releasing; say(stops); tidy() }

    :: d_step { elector[me].role == releasing && may_send(me) ->
        send_release(me, mine); say(releases); tidy() }
    :: d_step { elector[me].role == releasing && may_leave_behind ->
        prepare(me, release); leave_behind();
        elector[me].age = TTL;
        say(releases); tidy() }
    /* What a fail-over has lost is written again, with the tree dead, to be released then. */
    :: d_step { elector[me].role == releasing && elector[me].age < TTL && may_send(me) ->
        send_renewal(me, mine); say(renews); tidy() }
    :: d_step { elector[me].role == releasing && answer[me].verdict == none ->
        follow(me); say(leaves); tidy() }

    :: d_step { is_confirmed(me) -> count(me); say(hears); tidy() }
    :: d_step { answer[me].verdict != none -> give_up(me); say(gives_up); tidy() }
    od
}

active proctype server() {
    do
    :: d_step { late.kind != nothing ->
        pick_up(); execute(record[home[request.at]]); tidy() }
    od
}

active proctype failovers() {
    do
    :: d_step { may_fail_over ->
        fail_over(true);
        printf("    placement %d: promoted, with the other's data\n", master); tidy() }
    :: d_step { may_fail_over ->
        fail_over(false);
        printf("    placement %d: promoted, with no data\n", master); tidy() }
    :: d_step { may_fail_over && replaced ->
        new_placement(1 - home[master]);
        printf("    placement %d: as it was left, with its data\n", master); tidy() }
    :: d_step { may_fail_over ->
        new_placement(home[master]);
        printf("    placement %d: the same server, with another epoch\n", master); tidy() }
    :: d_step { witness[0].knows != master -> learn(0) }
    :: d_step { witness[1].knows != master -> learn(1) }
    :: d_step { witness[2].knows != master -> learn(2) }
    od
}

active proctype clock() {
    do
    :: d_step { tick(); printf("-- tick\n"); tidy() }
    od
}
