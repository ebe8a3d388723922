/* One sentence for each kind. */
#include "wish.h"

#include <stdio.h>

#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/log.h"

const char *wish_word(const struct lease_wish *wish)
{
    static const char *const words[] = {
        [LEASE_WISH_NONE] = "",
        [LEASE_WISH_PAUSED] = "paused",
        [LEASE_WISH_CORDONED] = "cordoned",
        [LEASE_WISH_STEP_DOWN] = "step-down",
    };

    return words[wish->kind];
}

char *wish_describe(const struct lease_wish *wish, char *buffer, size_t size)
{
    switch (wish->kind) {
    case LEASE_WISH_NONE:
        buffer[0] = '\0';
        break;
    case LEASE_WISH_PAUSED:
        snprintf(buffer, size, "paused by %s%s%s", wish->by, wish->text[0] != '\0' ? ": " : "",
                 wish->text);
        break;
    case LEASE_WISH_CORDONED:
        snprintf(buffer, size, "cordoned by %s", wish->by);
        break;
    case LEASE_WISH_STEP_DOWN:
        snprintf(buffer, size, "%s keeps the lease for %s", wish->by, wish->text);
        break;
    }
    return buffer;
}

char *wish_describe_rest(const struct lease_wish *wish, char *buffer, size_t size)
{
    char left[32];

    if (wish->left_ms > 0)
        snprintf(buffer, size, "; for another %s",
                 duration_format(left, sizeof left, wish->left_ms));
    else
        snprintf(buffer, size, "; until `leaderctl %s`",
                 wish->kind == LEASE_WISH_CORDONED ? "uncordon" : "resume");
    return buffer;
}

void wish_tell_ending(const struct lease_wish *wish)
{
    char what[LEASE_BY_SIZE + LEASE_WISH_SIZE + 32];

    if (wish->kind == LEASE_WISH_STEP_DOWN)
        snprintf(what, sizeof what, "asked to step down by %s%s%s", wish->by,
                 wish->text[0] != '\0' ? ", for " : "", wish->text);
    else
        wish_describe(wish, what, sizeof what);
    log_event(LOG_LEVEL_WARNING, "wish",
              LOG_FIELDS(LOG_TEXT("wish", wish_word(wish)), LOG_TEXT("by", wish->by),
                         LOG_TEXT("reason", wish->text), LOG_NUMBER("left_ms", wish->left_ms)),
              "%.190s; stopping the command", what);
}
