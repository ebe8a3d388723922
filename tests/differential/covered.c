/*
 * Which rule a call was an example of, by the data that it met and the answer that both gave. These
 * are the counts that show that nothing was compared in vain.
 */
#include "differential.h"

#include "leaderwrap/base/duration.h"

const char *const covered_names[COVERED] = {
    [FRESH_GRANTED] = "granted: no record, assumed fresh",
    [FRESH_BUT_HOLDER] = "refused: assumed fresh, but K is there",
    [FREE_GRANTED] = "granted: free",
    [HOLD_OVER_GRANTED] = "granted: hold over",
    [HOLD_OVER_EXACTLY] = "granted: hold over, until == now",
    [HOLD_ONE_MS_LEFT] = "refused: 1 ms of a hold left",
    [HOLD_COUNTED_OUT] = "granted: hold counted out, by the clock it is not over",
    [HOLD_COUNTED_ON] = "refused: hold not counted out, by the clock it is over",
    [HOLD_OUT_OF_RANGE] = "refused: the same, what is left of it is no hold",
    [VACANT_WITH_HOLD_GRANTED] = "granted: vacant, its hold over",
    [VACANT_WITH_HOLD_REFUSED] = "refused: vacant, observed, its hold not over",
    [HOLD_VACATED] = "vacated: the rest of a hold is kept",
    [CLOCK_FOLLOWED] = "written later than now, by the clock",
    [CLOCK_FOLLOWED_HOLD] = "the same of a hold",
    [HELD_OBSERVED] = "granted: held, observed",
    [VACANT_OBSERVED] = "granted: vacant, observed",
    [OBSERVED_EXACTLY] = "granted: observed for exactly the ttl",
    [OBSERVED_ONE_MS_SHORT] = "refused: observed for 1 ms too short",
    [OBSERVED_OTHER_TTL] = "refused: observed for the shorter ttl only",
    [OBSERVED_OTHER_IDENT] = "refused: version observed, ident another",
    [OBSERVED_OTHER_VERSION] = "refused: ident observed, version another",
    [HELD_BY_CLOCK] = "granted: held, by the server's clock",
    [VACANT_BY_CLOCK] = "granted: vacant, by the server's clock",
    [CLOCK_AT_THRESHOLD] = "refused: last ms by the server's clock",
    [CLOCK_PAST_THRESHOLD] = "granted: first ms by the server's clock",
    [CLOCK_OTHER_TTL] = "refused: by the server's clock, for our longer ttl",
    [HELD_REFUSED] = "refused: held",
    [VACANT_REFUSED] = "refused: vacant",
    [HOLD_REFUSED] = "refused: hold",
    [FOREIGN_REFUSED] = "refused: foreign value",
    [FOREIGN_EMPTY_REFUSED] = "refused: empty foreign value",
    [FOREIGN_LONG_REFUSED] = "refused: long foreign value, cut",
    [FOREIGN_OTHERWISE_GRANTED] = "refused: free, but a foreign value",
    [VACATED_MISSING] = "vacated: no record",
    [VACATED_OTHER_REPLID] = "vacated: other replid",
    [VACATED_OTHER_EPOCH] = "vacated: same server, other config-epoch",
    [VACATED_FREE] = "vacated: was free elsewhere",
    [VACATED_FOREIGN] = "vacated: beside a foreign value",
    [VACATED_LONGER_TTL_KEPT] = "vacated: the record's longer ttl",
    [VACATED_LONGER_TTL_OURS] = "vacated: our longer ttl",
    [VACATED_HIGHER_TOKEN_KEPT] = "vacated: the record's higher token",
    [VACATED_HIGHER_FLOOR] = "vacated: our higher floor",
    [VACANT_RAISED] = "already vacant: our higher floor",
    [TOKEN_NEXT] = "token: the record's + 1",
    [TOKEN_FLOOR] = "token: the floor + 1",
    [TOKEN_TIME] = "token: the time",
    [GRANTED_HOLDER_GONE] = "granted: without K",
    [GRANTED_HOLDER_OWN] = "granted: K was ours",
    [GRANTED_HOLDER_OTHER] = "granted: K was the record's",
    [RENEWED_MINE] = "renewed: mine",
    [RENEWED_MISSING] = "renewed: no record",
    [RENEWED_LOWER] = "renewed: lower token",
    [RENEWED_LOWER_UNCERTAIN] = "renewed: lower token, other incarnation",
    [RENEWED_VACANT] = "renewed: vacant",
    [RENEWED_UNCERTAIN_MINE] = "renewed: mine, other incarnation",
    [RENEWED_UNCERTAIN_VACANT] = "renewed: vacant, other incarnation",
    [LOST_FOREIGN] = "lost: foreign value",
    [LOST_HIGHER] = "lost: higher token",
    [LOST_HIGHER_UNCERTAIN] = "lost: higher token, other incarnation",
    [LOST_RELEASED] = "lost: released",
    [LOST_UNCERTAIN_RELEASED] = "lost: released, other incarnation",
    [LOST_UNCERTAIN_HOLD] = "lost: hold, other incarnation",
    [LOST_OTHER_ID] = "lost: same token, other id",
    [LOST_UNCERTAIN_OTHER_ID] = "lost: same token, other id and incarnation",
    [CLAIMED] = "claim: renewed",
    [CLAIM_MISSING] = "claim lost: no record",
    [CLAIM_UNCERTAIN] = "claim lost: other incarnation only",
    [CLAIM_NOT_HELD] = "claim lost: not held",
    [CLAIM_OTHER_ID] = "claim lost: other id only",
    [CLAIM_OTHER_TOKEN] = "claim lost: other token only",
    [RELEASED_FREE] = "released: free",
    [RELEASED_HOLD] = "released: hold",
    [RELEASED_HOLDER_GONE] = "released: without K",
    [RELEASED_HOLDER_OTHER] = "released: beside a foreign value",
    [RELEASE_MISSING] = "not held: no record",
    [RELEASE_STATE_ONLY] = "not held: by the state only",
    [RELEASE_ID_ONLY] = "not held: by the id only",
    [RELEASE_TOKEN_ONLY] = "not held: by the token only",
    [RELEASE_IDENT_ONLY] = "not held: by the incarnation only",
    [RELEASE_VERSION_ONLY] = "not held: by the version only",
    [RELEASE_OTHER_BASE] = "not held: it goes back to another version",
    [RELEASED_BASE] = "released: it goes back to that version",
    [RENEWED_BASE] = "renewed: the version before is known",
    [RENEWED_SAME_BASE] = "renewed: it goes back to the version that is known",
    [RENEWED_GAP] = "renewed: mine, what is known is another version",
    [PAUSED_REFUSED] = "refused: paused, else it would have been free",
    [PAUSED_FOR_A_WHILE] = "refused: paused for a span",
    [PAUSE_OVER_GRANTED] = "granted: a pause is over",
    [PAUSE_SHOWN] = "refused: K shows the pause",
    [PAUSE_SIGN_LEFT_BEHIND] = "refused: K shows a pause that nobody knows of",
    [CORDONED_REFUSED] = "refused: cordoned",
    [CORDON_OF_OTHERS_GRANTED] = "granted: others are cordoned",
    [ASK_FOR_OTHERS_REFUSED] = "refused: somebody else is to have it",
    [ASK_FOR_ME_GRANTED] = "granted: the asker is to have it",
    [ASK_FOR_ANYBODY_GRANTED] = "granted: a term was asked to end, for nobody",
    [ASK_OVER_GRANTED] = "granted: the time of the one who was to have it is over",
    [ASK_VOID_GRANTED] = "granted: another term was asked to end",
    [RENEWED_PAUSED] = "renewed: paused",
    [RENEWED_CORDONED] = "renewed: cordoned",
    [RENEWED_ASKED] = "renewed: asked to end",
    [RENEWED_ASK_VOID] = "renewed: another term was asked to end",
    [WISH_KEPT] = "error: SET is refused, no record, and wishes are kept",
    [PAUSE_FOLLOWED] = "a pause of the clock's future is as of now",
    [ASK_FOLLOWED] = "a step-down of the clock's future is as of now",
    [NOT_MASTER_SERVER] = "error: not a master, says the server",
    [NOT_MASTER_SCRIPT] = "error: not a master, says the script",
    [SET_REFUSED] = "error: SET is refused, nothing is written",
    [SET_REFUSED_AT_ONCE] = "error: SET is refused to one who has seen nothing",
    [CLOCK_BEFORE_WRITE] = "called before the last write, by the clock",
    [HOLDER_EXPIRES_NOW] = "called in the last ms of K",
    [HOLDER_EXPIRED_1_MS] = "called in the first ms without K",
    [HOLDER_EXPIRED] = "called long after K expired",
    [LISTENERS_NONE] = "released: no listener",
    [LISTENERS_ONE] = "released: one listener",
    [LISTENERS_TWO] = "released: two listeners",
    [CLOCK_STEPPED_BACK] = "clock stepped back",
    [CLOCK_STEPPED_FORWARD] = "clock stepped forward",
    [HOLDER_DELETED] = "DEL of K",
    [TERM_DELETED] = "DEL of the record",
    [FLUSHED] = "FLUSHALL",
    [FOREIGN_SET] = "SET of K",
    [DUMPED] = "dump",
    [PROMOTED] = "demotion and promotion",
    [RESTARTED_KEPT] = "restart, data kept",
    [RESTARTED_EMPTY] = "restart, data lost",
    [RESTARTED_ROLLED_BACK] = "restart, data rolled back",
    [WISHED] = "a wish is made or taken back",
};

/* What a call met, with what has expired taken away. */
struct met {
    struct test *test;
    struct record record;
    struct wishes wishes;
    uint32_t holder;
    int64_t now_ms;
    bool certain;
    bool foreign;
};

void cover(struct test *test, enum covered what)
{
    test->covered[what]++;
}

static void cover_if(const struct met *met, bool condition, enum covered what)
{
    if (condition)
        cover(met->test, what);
}

static void cover_holder(struct met *met, const struct data *before)
{
    int64_t over_ms = met->now_ms - before->holder_expires_ms;

    if (before->holder == 0)
        return;
    cover_if(met, over_ms == 0, HOLDER_EXPIRES_NOW);
    cover_if(met, over_ms == 1, HOLDER_EXPIRED_1_MS);
    cover_if(met, over_ms > 1, HOLDER_EXPIRED);
    if (over_ms > 0)
        met->holder = 0;
}

/* ---- acquire ---- */

static void cover_vacancy(const struct met *met, const struct message *request)
{
    const struct record *record = &met->record;
    uint64_t incarnation = met->test->server->incarnation;
    uint64_t written = incarnation_base(record->incarnation);

    cover_if(met, record->missing, VACATED_MISSING);
    cover_if(met, !record->missing && written != incarnation, VACATED_OTHER_REPLID);
    cover_if(met, !record->missing && written == incarnation, VACATED_OTHER_EPOCH);
    cover_if(met, record->state == LEASE_FREE, VACATED_FREE);
    cover_if(met, met->foreign, VACATED_FOREIGN);
    cover_if(met, record->ttl_ms > request->ttl_ms, VACATED_LONGER_TTL_KEPT);
    cover_if(met, !record->missing && record->ttl_ms < request->ttl_ms, VACATED_LONGER_TTL_OURS);
    cover_if(met, record->token > request->token, VACATED_HIGHER_TOKEN_KEPT);
    cover_if(met, !record->missing && record->hold_until_ms > met->now_ms, HOLD_VACATED);
    cover_if(met, record->token < request->token, VACATED_HIGHER_FLOOR);
}

static void cover_raise(const struct met *met, const struct message *request)
{
    cover_if(met, met->record.state == LEASE_VACANT && met->record.token < request->token,
             VACANT_RAISED);
}

static int64_t longer_ttl_ms(const struct met *met, const struct message *request)
{
    return met->record.ttl_ms > request->ttl_ms ? met->record.ttl_ms : request->ttl_ms;
}

/* Whether it is the present version that was seen, be it for long enough or not. */
static bool is_seen(const struct met *met, const struct message *request)
{
    return request->observed_version != 0 && request->observed_version == met->record.version &&
           request->observed_incarnation == met->record.incarnation;
}

static bool is_observed(const struct met *met, const struct message *request)
{
    return is_seen(met, request) && request->observed_ms >= longer_ttl_ms(met, request);
}

/* How many hundredths of a ms the last write is older than the server's clock asks for. */
static int64_t past_threshold(const struct met *met, int64_t ttl_ms)
{
    return (met->now_ms - met->record.at_ms) * 100 - ttl_ms * 101 - 1000;
}

static void cover_grant(const struct met *met, const struct message *request,
                        const struct message *answer)
{
    const struct record *record = &met->record;
    uint64_t token = answer->record.token;
    int64_t ttl_ms = longer_ttl_ms(met, request);
    int64_t past = past_threshold(met, ttl_ms);
    bool waits = record->state == LEASE_HELD || record->state == LEASE_VACANT;
    bool by_clock = !record->missing && waits && !is_observed(met, request);

    cover_if(met, record->missing, FRESH_GRANTED);
    cover_if(met, record->state == LEASE_FREE, FREE_GRANTED);
    cover_if(met, record->state == LEASE_CLOSED, HOLD_OVER_GRANTED);
    cover_if(met, record->state == LEASE_CLOSED && record->hold_until_ms == met->now_ms,
             HOLD_OVER_EXACTLY);
    cover_if(met, record->state == LEASE_CLOSED && record->hold_until_ms > met->now_ms,
             HOLD_COUNTED_OUT);
    cover_if(met, record->state == LEASE_VACANT && record->hold_ms > 0, VACANT_WITH_HOLD_GRANTED);
    cover_if(met, record->state == LEASE_HELD, by_clock ? HELD_BY_CLOCK : HELD_OBSERVED);
    cover_if(met, record->state == LEASE_VACANT, by_clock ? VACANT_BY_CLOCK : VACANT_OBSERVED);
    cover_if(met, waits && is_seen(met, request) && request->observed_ms == ttl_ms,
             OBSERVED_EXACTLY);
    cover_if(met, by_clock && past <= 100, CLOCK_PAST_THRESHOLD);
    cover_if(met, token == record->token + 1, TOKEN_NEXT);
    cover_if(met, token == request->token + 1, TOKEN_FLOOR);
    cover_if(met, token == (uint64_t)model_now_us(met->test), TOKEN_TIME);
    cover_if(met, met->holder == 0, GRANTED_HOLDER_GONE);
    cover_if(met, met->holder == request->id, GRANTED_HOLDER_OWN);
    cover_if(met, met->holder != 0 && met->holder != request->id, GRANTED_HOLDER_OTHER);
}

static void cover_refusal(const struct met *met, const struct message *request)
{
    const struct record *record = &met->record;
    bool waits = record->state == LEASE_HELD || record->state == LEASE_VACANT;
    int64_t longer_ms = longer_ttl_ms(met, request);
    int64_t past = past_threshold(met, longer_ms);

    cover_if(met, met->foreign, FOREIGN_REFUSED);
    cover_if(met, met->foreign && met->holder == FOREIGN_EMPTY, FOREIGN_EMPTY_REFUSED);
    cover_if(met, met->foreign && met->holder == FOREIGN_LONG, FOREIGN_LONG_REFUSED);
    cover_if(met, met->foreign && met->certain && record->state == LEASE_FREE,
             FOREIGN_OTHERWISE_GRANTED);
    cover_if(met, record->missing && request->assume_fresh, FRESH_BUT_HOLDER);
    if (met->foreign || !met->certain)
        return;
    cover_if(met, record->state == LEASE_HELD, HELD_REFUSED);
    cover_if(met, record->state == LEASE_VACANT, VACANT_REFUSED);
    cover_if(met, record->state == LEASE_CLOSED, HOLD_REFUSED);
    cover_if(met, record->state == LEASE_CLOSED && record->hold_until_ms == met->now_ms + 1,
             HOLD_ONE_MS_LEFT);
    cover_if(met, record->state == LEASE_CLOSED && record->hold_until_ms <= met->now_ms,
             HOLD_COUNTED_ON);
    cover_if(met,
             record->state == LEASE_CLOSED && record->hold_until_ms <= met->now_ms &&
                 (request->seen_hold_ms < 0 || request->seen_hold_ms > DURATION_MAX_MS),
             HOLD_OUT_OF_RANGE);
    if (!waits)
        return;
    cover_if(met, record->state == LEASE_VACANT && record->hold_ms > 0 && is_observed(met, request),
             VACANT_WITH_HOLD_REFUSED);
    cover_if(met, is_seen(met, request) && request->observed_ms == longer_ms - 1,
             OBSERVED_ONE_MS_SHORT);
    cover_if(
        met,
        is_seen(met, request) && request->observed_ms < longer_ms &&
            (request->observed_ms >= record->ttl_ms || request->observed_ms >= request->ttl_ms),
        OBSERVED_OTHER_TTL);
    cover_if(met,
             request->observed_version == record->version &&
                 request->observed_incarnation != record->incarnation,
             OBSERVED_OTHER_IDENT);
    cover_if(met,
             request->observed_incarnation == record->incarnation &&
                 request->observed_version != 0 && request->observed_version != record->version,
             OBSERVED_OTHER_VERSION);
    cover_if(met, request->server_clock && past > -100 && past <= 0, CLOCK_AT_THRESHOLD);
    cover_if(met, request->server_clock && past_threshold(met, record->ttl_ms) > 0,
             CLOCK_OTHER_TTL);
}

/* ---- renew ---- */

static void cover_claim(const struct met *met, const struct message *request, bool renewed)
{
    const struct record *record = &met->record;
    bool held = record->state == LEASE_HELD;
    bool same_id = record->id == request->id;
    bool same_token = record->token == request->token;

    cover_if(met, renewed, CLAIMED);
    if (renewed || met->foreign)
        return;
    cover_if(met, record->missing, CLAIM_MISSING);
    cover_if(met, !record->missing && !met->certain && held && same_id && same_token,
             CLAIM_UNCERTAIN);
    cover_if(met, met->certain && !held && same_id && same_token, CLAIM_NOT_HELD);
    cover_if(met, met->certain && held && !same_id && same_token, CLAIM_OTHER_ID);
    cover_if(met, met->certain && held && same_id && !same_token, CLAIM_OTHER_TOKEN);
}

static void cover_renewed(const struct met *met, const struct message *request)
{
    const struct record *record = &met->record;
    bool lower = !record->missing && record->token < request->token;
    bool same = !record->missing && record->token == request->token;
    bool held = record->state == LEASE_HELD;

    cover_if(met, record->missing, RENEWED_MISSING);
    cover_if(met, lower, met->certain ? RENEWED_LOWER : RENEWED_LOWER_UNCERTAIN);
    cover_if(met, same && met->certain, held ? RENEWED_MINE : RENEWED_VACANT);
    if (same && met->certain && held && request->version != 0) {
        bool known = record->version == request->version;
        bool goes_back = record->base == request->version;
        cover_if(met, known, RENEWED_BASE);
        cover_if(met, goes_back, RENEWED_SAME_BASE);
        cover_if(met, !known && !goes_back, RENEWED_GAP);
    }
    cover_if(met, same && !met->certain && held, RENEWED_UNCERTAIN_MINE);
    cover_if(met, same && !met->certain && record->state == LEASE_VACANT, RENEWED_UNCERTAIN_VACANT);
}

static void cover_lost(const struct met *met, const struct message *request)
{
    const struct record *record = &met->record;
    bool higher = record->token > request->token;
    bool held = record->state == LEASE_HELD;

    if (met->foreign) {
        cover(met->test, LOST_FOREIGN);
        return;
    }
    cover_if(met, higher, met->certain ? LOST_HIGHER : LOST_HIGHER_UNCERTAIN);
    cover_if(met, !higher && !held && met->certain, LOST_RELEASED);
    cover_if(met, !higher && record->state == LEASE_FREE && !met->certain, LOST_UNCERTAIN_RELEASED);
    cover_if(met, !higher && record->state == LEASE_CLOSED && !met->certain, LOST_UNCERTAIN_HOLD);
    cover_if(met, !higher && held, met->certain ? LOST_OTHER_ID : LOST_UNCERTAIN_OTHER_ID);
}

/* ---- release ---- */

static void cover_released(const struct met *met, const struct message *request)
{
    static const enum covered by_listeners[] = {LISTENERS_NONE, LISTENERS_ONE, LISTENERS_TWO};

    cover(met->test, request->hold_ms > 0 ? RELEASED_HOLD : RELEASED_FREE);
    cover(met->test, by_listeners[met->test->real.listening]);
    cover_if(met, met->holder == 0, RELEASED_HOLDER_GONE);
    cover_if(met, met->foreign, RELEASED_HOLDER_OTHER);
    cover_if(met, met->record.version != request->version, RELEASED_BASE);
}

static void cover_not_held(const struct met *met, const struct message *request)
{
    const struct record *record = &met->record;
    bool state = record->state != LEASE_HELD;
    bool id = record->id != request->id;
    bool token = record->token != request->token;
    bool incarnation = !met->certain;
    bool version = record->version != request->version;

    if (record->missing) {
        cover(met->test, RELEASE_MISSING);
        return;
    }
    if (state + id + token + incarnation + version != 1)
        return;
    cover_if(met, state, RELEASE_STATE_ONLY);
    cover_if(met, id, RELEASE_ID_ONLY);
    cover_if(met, token, RELEASE_TOKEN_ONLY);
    cover_if(met, incarnation, RELEASE_IDENT_ONLY);
    cover_if(met, version, RELEASE_VERSION_ONLY);
    cover_if(met, version && record->base != 0, RELEASE_OTHER_BASE);
}

/* ---- wishes ---- */

static void cover_wish_refused(const struct met *met, const struct message *answer)
{
    bool paused = answer->wish == LEASE_WISH_PAUSED;

    cover_if(met, paused && met->certain && !met->foreign && met->record.state == LEASE_FREE,
             PAUSED_REFUSED);
    cover_if(met, paused && answer->wish_left_ms > 0, PAUSED_FOR_A_WHILE);
    cover_if(met, paused && met->holder == 0, PAUSE_SHOWN);
    cover_if(met, met->holder == PAUSE_SIGN && met->foreign, PAUSE_SIGN_LEFT_BEHIND);
    cover_if(met, answer->wish == LEASE_WISH_CORDONED, CORDONED_REFUSED);
    cover_if(met, answer->wish == LEASE_WISH_STEP_DOWN, ASK_FOR_OTHERS_REFUSED);
}

static void cover_wish_granted(const struct met *met, const struct message *request)
{
    const struct wishes *wishes = &met->wishes;
    bool asked = wishes->ask_token != 0 && wishes->ask_token == met->record.token;
    bool over = met->now_ms >= wishes->ask_at_ms + wishes->ask_ms;
    bool for_me = wishes->ask_to == request->name;

    cover_if(met, wishes->pause, PAUSE_OVER_GRANTED);
    cover_if(met, wishes->cordons != 0, CORDON_OF_OTHERS_GRANTED);
    cover_if(met, asked && !over && for_me, ASK_FOR_ME_GRANTED);
    cover_if(met, asked && !over && wishes->ask_to == NO_NAME, ASK_FOR_ANYBODY_GRANTED);
    cover_if(met, asked && over && !for_me && wishes->ask_to != NO_NAME, ASK_OVER_GRANTED);
    cover_if(met, wishes->ask_token != 0 && !asked && !over && !for_me && wishes->ask_to != NO_NAME,
             ASK_VOID_GRANTED);
}

static void cover_wish_renewed(const struct met *met, const struct message *request,
                               const struct message *answer)
{
    const struct wishes *wishes = &met->wishes;
    bool over = met->now_ms >= wishes->ask_at_ms + wishes->ask_ms;

    cover_if(met, answer->wish == LEASE_WISH_PAUSED, RENEWED_PAUSED);
    cover_if(met, answer->wish == LEASE_WISH_CORDONED, RENEWED_CORDONED);
    cover_if(met, answer->wish == LEASE_WISH_STEP_DOWN, RENEWED_ASKED);
    cover_if(met,
             answer->wish == LEASE_WISH_NONE && wishes->ask_token != 0 &&
                 wishes->ask_token != request->token && !over,
             RENEWED_ASK_VOID);
}

static void cover_wishes(const struct met *met, const struct message *request,
                         const struct message *answer)
{
    const struct wishes *wishes = &met->wishes;

    if (request->kind == MESSAGE_ACQUIRE) {
        cover_if(met, wishes->pause && wishes->pause_at_ms > met->now_ms, PAUSE_FOLLOWED);
        cover_if(met, wishes->ask_token != 0 && wishes->ask_at_ms > met->now_ms, ASK_FOLLOWED);
    }
    if (answer->verdict == LEASE_REFUSED)
        cover_wish_refused(met, answer);
    else if (answer->verdict == LEASE_GRANTED)
        cover_wish_granted(met, request);
    else if (answer->verdict == LEASE_RENEWED)
        cover_wish_renewed(met, request, answer);
}

static bool has_wishes(const struct wishes *wishes)
{
    return wishes->pause || wishes->ask_token != 0 || wishes->cordons != 0;
}

/* ---- all ---- */

void cover_call(struct test *test, const struct data *before, const struct message *request,
                const struct message *answer)
{
    struct met met = {
        .test = test,
        .record = before->record,
        .wishes = before->wishes,
        .holder = before->holder,
        .now_ms = model_now_us(test) / 1000,
        .certain = !before->record.missing &&
                   before->record.incarnation ==
                       incarnation_under(test->server->incarnation, request->config_epoch),
        .foreign = answer->foreign,
    };

    if (answer->verdict == LEASE_FAILED) {
        bool first = request->kind == MESSAGE_ACQUIRE && request->observed_version == 0;

        cover(test, test->demoted ? (test->writable ? NOT_MASTER_SCRIPT : NOT_MASTER_SERVER)
                    : first       ? SET_REFUSED_AT_ONCE
                                  : SET_REFUSED);
        cover_if(&met,
                 !test->demoted && !first && before->record.missing && has_wishes(&before->wishes),
                 WISH_KEPT);
        return;
    }
    cover_holder(&met, before);
    cover_if(&met, met.now_ms < before->record.at_ms, CLOCK_BEFORE_WRITE);
    cover_wishes(&met, request, answer);
    if (request->kind == MESSAGE_ACQUIRE && !met.certain && answer->verdict == LEASE_REFUSED)
        cover_vacancy(&met, request);
    if (request->kind == MESSAGE_ACQUIRE && met.certain) {
        cover_raise(&met, request);
        cover_if(&met, met.now_ms<before->record.at_ms, before->record.hold_ms> 0
                           ? CLOCK_FOLLOWED_HOLD
                           : CLOCK_FOLLOWED);
    }
    if (request->kind == MESSAGE_RENEW && request->claim) {
        cover_claim(&met, request, answer->verdict == LEASE_RENEWED);
        return;
    }
    switch (answer->verdict) {
    case LEASE_GRANTED:
        cover_grant(&met, request, answer);
        break;
    case LEASE_REFUSED:
        cover_refusal(&met, request);
        break;
    case LEASE_RENEWED:
        cover_renewed(&met, request);
        break;
    case LEASE_LOST:
        cover_lost(&met, request);
        break;
    case LEASE_RELEASED:
        cover_released(&met, request);
        break;
    default:
        cover_not_held(&met, request);
        break;
    }
}
