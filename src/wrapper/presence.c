/* The text is made anew when there is something else to tell. */
#include "presence.h"

#include <stdlib.h>

#include "leaderwrap/base/clock.h"

/* Where there is no memory, what was told before stays. */
static void tell(struct presence *presence)
{
    char *text = about_make(presence->about, &presence->pause);

    if (text == NULL)
        return;
    store_tell(presence->store, text);
    free(presence->text);
    presence->text = text;
}

void presence_begin(struct presence *presence, struct store *store, const struct about *about)
{
    presence->store = store;
    presence->about = about;
    tell(presence);
}

void presence_hear(struct presence *presence, const struct lease_reply *reply, int64_t now_ns)
{
    if (!pause_hear(&presence->pause, reply, now_ns, clock_realtime_ms()))
        return;
    if (presence->pause.lost)
        pause_tell_loss(&presence->pause);
    tell(presence);
}

void presence_end(struct presence *presence)
{
    free(presence->text);
    presence->text = NULL;
}
