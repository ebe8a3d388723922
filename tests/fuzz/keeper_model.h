/*
 * A second account of what the keeper's protocol promises about a run, kept from the requests and
 * messages alone. It shares no code with the keeper.
 */
#ifndef LEADERWRAP_TEST_KEEPER_MODEL_H
#define LEADERWRAP_TEST_KEEPER_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/keeper/protocol.h"

/* What the protocol promises about the run, from requests and messages alone. */
static struct {
    bool active; /* from START to TREE_DEAD */
    uint32_t run;
    int64_t stop_at_ns;
    int64_t kill_at_ns;
    int64_t sweep_by_ns; /* the end of a grace */
    char version[LEASE_NONCE_SIZE];
    bool stop_asked;
    bool stopping_told;
    bool exit_told;
    bool killed; /* on request */
    bool swept;
    bool alone;
    bool orphaned;
} model;

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* `hung_up`: the sender is known to be dead. */
static inline void model_start(const struct keeper_request *request, int64_t now_ns, bool hung_up)
{
    if (model.active)
        return;
    model.active = true;
    model.run = request->run;
    model.stop_at_ns = request->stop_at_ns;
    model.kill_at_ns = request->kill_at_ns;
    model.sweep_by_ns = INT64_MAX;
    memcpy(model.version, request->version, sizeof model.version);
    model.stop_asked = model.stopping_told = model.exit_told = false;
    model.swept = false;
    model.killed = hung_up;
    if (hung_up)
        model.sweep_by_ns = now_ns;
}

static inline void model_extend(const struct keeper_request *request)
{
    memcpy(model.version, request->version, sizeof model.version);
    if (model.stopping_told)
        return;
    if (request->stop_at_ns > model.stop_at_ns)
        model.stop_at_ns = request->stop_at_ns;
    if (request->kill_at_ns > model.kill_at_ns)
        model.kill_at_ns = request->kill_at_ns;
}

static inline void model_request(const struct keeper_request *request, int64_t now_ns,
                                 int64_t grace_ms, bool hung_up)
{
    bool begun = model.stop_asked || model.stopping_told || model.exit_told;

    if (request->kind == KEEPER_START)
        model_start(request, now_ns, hung_up);
    if (!model.active || request->run != model.run)
        return;
    /* However far its end has come. */
    if (request->kind == KEEPER_EXTEND)
        model_extend(request);
    if (model.killed || model.swept)
        return;
    if (request->kind == KEEPER_STOP && !begun) {
        model.stop_asked = true;
        model.sweep_by_ns = least(model.sweep_by_ns, now_ns + grace_ms * NS_PER_MS);
    } else if (request->kind == KEEPER_KILL) {
        model.killed = true;
        model.sweep_by_ns = now_ns;
    }
}

static inline void model_elector_died(int64_t now_ns)
{
    model.alone = true;
    model.orphaned = model.active;
    model.sweep_by_ns = least(model.sweep_by_ns, now_ns);
}

#endif
