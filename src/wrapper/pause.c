/* One that is taken back leaves the record as it was; one that is lost takes the record with it. */
#include "pause.h"

#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"

/* Of a record that is gone somebody makes a new one, without a holder; another server, which had
 * not all of it yet, a new version of its own. */
static bool is_another(const struct pause *pause, const struct lease_record *record)
{
    return strcmp(record->version, pause->version) != 0 &&
           (record->id[0] == '\0' || strcmp(record->incarnation, pause->incarnation) != 0);
}

static void remember(struct pause *pause, const struct lease_reply *reply, int64_t now_ns,
                     int64_t now_ms)
{
    const struct lease_wish *wish = &reply->wish;

    *pause = (struct pause){
        .heard = true,
        .wish = *wish,
        .over_ns = wish->left_ms > 0 ? now_ns + wish->left_ms * NS_PER_MS : 0,
        .over_ms = wish->left_ms > 0 ? now_ms + wish->left_ms : 0,
    };
    memcpy(pause->incarnation, reply->record.incarnation, sizeof pause->incarnation);
    memcpy(pause->version, reply->record.version, sizeof pause->version);
}

bool pause_hear(struct pause *pause, const struct lease_reply *reply, int64_t now_ns,
                int64_t now_ms)
{
    bool was_lost = pause->lost;

    if (reply->verdict != LEASE_REFUSED && reply->verdict != LEASE_RENEWED)
        return false;
    if (reply->wish.kind == LEASE_WISH_PAUSED) {
        remember(pause, reply, now_ns, now_ms);
    } else if (pause->heard) {
        bool over = pause->over_ns != 0 && now_ns >= pause->over_ns;

        pause->heard = false;
        pause->lost = !over && is_another(pause, &reply->record);
        pause->lost_ms = now_ms;
    }
    return pause->lost != was_lost;
}

void pause_tell_loss(const struct pause *pause)
{
    const struct lease_wish *wish = &pause->wish;

    log_event(
        LOG_LEVEL_WARNING, "pause_lost",
        LOG_FIELDS(LOG_TEXT("by", wish->by), LOG_TEXT("reason", wish->text)),
        "redis has lost the pause by %s%s%s: somebody will lead; `leaderctl pause` pauses again",
        wish->by, wish->text[0] != '\0' ? ", " : "", wish->text);
}
