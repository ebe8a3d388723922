/* The timeline of one schedule, for a person to follow. */
#include <inttypes.h>
#include <stdio.h>

#include "world.h"

static const char *const states[] = {"FOLLOWING", "ACQUIRING", "LEADING",
                                     "STOPPING",  "RELEASING", "DONE"};
static const char *const ends[] = {
    [END_NONE] = "",
    [END_COMMAND] = "command ended",
    [END_STOPPED] = "stopped",
    [END_DEADLINE] = "deadline",
    [END_LOST] = "lost",
    [END_KEEPER] = "keeper lost",
    [END_NOT_STARTED] = "not started",
    [END_CONFIGURATION] = "configuration",
    [END_RUNTIME] = "runtime over",
    [END_FAILED] = "failed too often",
    [END_PAUSED] = "paused",
    [END_CORDONED] = "cordoned",
    [END_ASKED] = "asked to step down",
    [END_UNHEALTHY] = "unhealthy",
    [END_BUSY] = "busy",
    [END_FOREIGN] = "a foreign value",
    [END_UNREACHABLE] = "unreachable",
    [END_KILLED] = "killed",
};
static const char *const notes[] = {
    [NOTE_WAITING] = "waits",
    [NOTE_BUSY] = "waits no longer",
    [NOTE_RESTART] = "pauses before a restart",
    [NOTE_STAND_BACK] = "stands back",
    [NOTE_ELECTED] = "ELECTED",
    [NOTE_LOCK_DELAY] = "ELECTED, with a lock delay",
    [NOTE_RENEWED] = "renewed",
    [NOTE_RENEWAL_FAILED] = "renewal failed",
    [NOTE_ASK_FAILED] = "asking failed",
    [NOTE_RELEASE_FAILED] = "release failed",
    [NOTE_RETRY] = "will try to connect again",
    [NOTE_ELSEWHERE] = "is told of another master",
    [NOTE_UNPLACED] = "hears of no majority of the witnesses",
    [NOTE_TERM_ENDING] = "term ending:",
    [NOTE_TERM_OVER] = "term over:",
    [NOTE_RELEASED] = "released",
    [NOTE_NOT_HELD] = "nothing to release",
    [NOTE_LEFT] = "leaves the lease to its TTL",
    [NOTE_HOOK_ALIVE] = "has a hook of an ended term that lives",
};
static const char *const verdicts[] = {"GRANTED",  "REFUSED",  "RENEWED", "LOST",
                                       "RELEASED", "NOT_HELD", "ERROR"};
static const char *const record_states[] = {"absent", "free", "held", "hold", "vacant"};
static const char *const requests[] = {"acquire", "renew", "release", "push", "keeper"};

void trace_begin(const struct world *world, const struct process *process)
{
    printf("%11.6f  ", (double)world->now / 1e9);
    if (process == NULL)
        printf("%-16s", "");
    else
        printf("c%-4u %-9s  ", process->id,
               process->elector ? states[process->election.state] : "dead");
}

/* Points on the host's clock as seconds from now. */
static double from_now(const struct world *world, const struct process *process, int64_t at_ns)
{
    return (double)(at_ns - host_clock(world, &world->hosts[process->host])) / 1e9;
}

static void trace_request(const struct world *world, const struct process *process,
                          const struct lease_request *request)
{
    switch (request->kind) {
    case LEASE_ACQUIRE:
        TRACE(world, process, "-> acquire #%" PRIu64 " nonce %.6s floor %" PRIu64 " observed %.6s",
              request->number, request->nonce, request->acquire.floor_token,
              request->acquire.observed_version[0] != '\0' ? request->acquire.observed_version
                                                           : "none");
        break;
    case LEASE_RENEW:
        TRACE(world, process, "-> renew #%" PRIu64 " nonce %.6s token %" PRIu64, request->number,
              request->nonce, request->renew.token);
        break;
    case LEASE_RELEASE:
        TRACE(world, process, "-> release #%" PRIu64 " nonce %.6s token %" PRIu64, request->number,
              request->nonce, request->release.token);
        break;
    }
}

void trace_action(const struct world *world, const struct process *process,
                  const struct election_action *action)
{
    switch (action->kind) {
    case ACTION_OPEN:
        TRACE(world, process, "connects");
        break;
    case ACTION_SEND:
        trace_request(world, process, &action->send.request);
        break;
    case ACTION_START:
    case ACTION_EXTEND:
        TRACE(world, process, "%s: stop in %.3f s, kill in %.3f s, out in %.3f s",
              action->kind == ACTION_START ? "START" : "extend",
              from_now(world, process, action->run.deadlines.stop_at_ns),
              from_now(world, process, action->run.deadlines.kill_at_ns),
              from_now(world, process, action->run.deadlines.expires_at_ns));
        break;
    case ACTION_STOP_TREE:
        TRACE(world, process, "STOP");
        break;
    case ACTION_KILL_TREE:
        TRACE(world, process, "KILL");
        break;
    case ACTION_KILL_HOOK:
        TRACE(world, process, "KILL the hook");
        break;
    case ACTION_KILL_HOOKS:
        TRACE(world, process, "KILL all hooks");
        break;
    case ACTION_TELL:
        TRACE(world, process, "%s %s", notes[action->note.kind], ends[action->note.end]);
        break;
    case ACTION_EXIT:
        TRACE(world, process, "exits: %s", ends[action->end]);
        break;
    default:
        break;
    }
}

void trace_answer(const struct world *world, const struct message *message)
{
    const struct record *record = &message->record;
    const struct process *process = &world->processes[message->process];

    trace_begin(world, NULL);
    printf("  server %" PRIu32 ": c%u's %s #%" PRIu64 " %.6" PRIx64 ": %s", message->instance,
           message->id, requests[message->kind], message->request, message->nonce >> 40,
           verdicts[message->verdict]);
    if (message->verdict != LEASE_FAILED)
        printf(" (%s by c%u, token %" PRIu64 ", version %06" PRIx64 ", ident %" PRIu64 "/%" PRIu64
               "%s)",
               record_states[record->state], record->id, record->token, record->version >> 40,
               record->incarnation >> 32 & 0xFFFF, record->incarnation & 0xFFFFFFFF,
               message->foreign ? ", K is somebody else's" : "");
    if (process->serial != message->serial || message->epoch != process->connection.epoch)
        printf(", for nobody any more");
    putchar('\n');
}
