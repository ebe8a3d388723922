/* What goes out of the election. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "leaderwrap/base/check.h"

struct election_action *action_add(struct election_actions *actions, enum election_action_kind kind)
{
    CHECK(actions->count < ELECTION_ACTIONS_MAX);
    struct election_action *action = &actions->list[actions->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

struct election_note *action_tell(struct election_actions *actions, enum election_note_kind kind)
{
    struct election_action *action = action_add(actions, ACTION_TELL);

    action->note.kind = kind;
    return &action->note;
}

void action_tell_failure(const struct election *election, struct election_actions *actions,
                         enum election_note_kind kind, const struct lease_reply *reply)
{
    struct election_failure *failure = &action_tell(actions, kind)->failure;

    failure->answered = reply != NULL;
    failure->unconfirmed = reply == NULL && election->placement.holds;
    if (reply != NULL && reply->verdict == LEASE_FAILED)
        snprintf(failure->text, sizeof failure->text, "%s", reply->text);
}

/* The name of the version that the next request writes. All who listen learn it, and none may be
 * able to tell the one after it: a candidate takes a version for as old as its first push. */
static void make_nonce(struct election *election, char nonce[LEASE_NONCE_SIZE])
{
    uint64_t number = ++election->last_nonce;
    uint64_t value = siphash(election->config.nonce_key, &number, sizeof number);

    snprintf(nonce, LEASE_NONCE_SIZE, "%016" PRIx64, value);
}

bool request_can_leave(const struct election *election)
{
    return placement_is_settled(&election->placement) &&
           session_can_send(&election->session, &election->config.timing, election->now_ns);
}

struct election_send *request_send(struct election *election, struct election_actions *actions,
                                   enum session_request kind)
{
    struct election_send *send = &action_add(actions, ACTION_SEND)->send;
    struct lease_request *request = &send->request;
    const struct session_need need = link_need(election);
    const struct term *term = &election->term;

    make_nonce(election, request->nonce);
    request->epoch = election->placement.epoch;
    request->number = session_send(&election->session, &election->config.timing, kind,
                                   request->nonce, election->now_ns);
    request->patience_ms = session_patience_ms(&election->session, &election->config.timing, &need);
    switch (kind) {
    case REQUEST_NONE:
        break;
    case REQUEST_ACQUIRE:
        request->kind = LEASE_ACQUIRE;
        break;
    case REQUEST_CLAIM:
        request->kind = LEASE_RENEW;
        request->renew.token = term->token;
        request->renew.claim = true;
        break;
    case REQUEST_RENEW:
        request->kind = LEASE_RENEW;
        request->renew.token = term->token;
        memcpy(request->renew.version, term->version, sizeof request->renew.version);
        break;
    case REQUEST_RELEASE:
        request->kind = LEASE_RELEASE;
        request->release.token = term->token;
        memcpy(request->release.version, term->version, sizeof request->release.version);
        send->end = election->end;
        break;
    }
    return send;
}
