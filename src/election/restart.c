/* The policy of --restart. */
#include "leaderwrap/election/restart.h"

#define FIRST_PAUSE_MS 1000
#define MOST_PAUSE_MS  30000
#define HEALTHY_MS     60000

bool restart_is_wanted(enum restart_policy policy, bool failed)
{
    return policy == RESTART_ALWAYS || (policy == RESTART_ON_FAILURE && failed);
}

bool restart_count(struct restart *restart, int64_t well_ms, bool failed, int64_t most)
{
    bool healthy = well_ms >= HEALTHY_MS;

    if (healthy)
        restart->quick_ends = 0;
    if (healthy || !failed)
        restart->failures = 0;
    restart->quick_ends++;
    if (failed)
        restart->failures++;
    return most == 0 || restart->failures < most;
}

int64_t restart_pause_ms(const struct restart *restart)
{
    int64_t pause_ms = FIRST_PAUSE_MS;

    for (int64_t i = 1; i < restart->quick_ends && pause_ms < MOST_PAUSE_MS; i++)
        pause_ms *= 2;
    return pause_ms < MOST_PAUSE_MS ? pause_ms : MOST_PAUSE_MS;
}
