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

struct election_action *action_tell(struct election_actions *actions, enum election_note note)
{
    struct election_action *action = action_add(actions, ACTION_TELL);

    action->note = note;
    return action;
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
    return session_can_send(&election->session, &election->config.timing, election->now_ns);
}

struct election_action *request_send(struct election *election, struct election_actions *actions,
                                     enum session_request kind)
{
    static const enum election_action_kind action_of[] = {
        [REQUEST_ACQUIRE] = ACTION_ACQUIRE,
        [REQUEST_CLAIM] = ACTION_RENEW,
        [REQUEST_RENEW] = ACTION_RENEW,
        [REQUEST_RELEASE] = ACTION_RELEASE,
    };
    struct election_action *action = action_add(actions, action_of[kind]);

    make_nonce(election, action->nonce);
    action->request = session_send(&election->session, &election->config.timing, kind,
                                   action->nonce, election->now_ns);
    action->token = election->term.token;
    action->claim = kind == REQUEST_CLAIM;
    if (kind == REQUEST_RENEW || kind == REQUEST_RELEASE)
        memcpy(action->version, election->term.version, sizeof action->version);
    return action;
}
